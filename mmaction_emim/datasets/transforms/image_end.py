"""Tells an image that was cut short: decoders fill what is missing with grey, without an error."""

import re

_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
# Of those, compressed pixels hold 0, as an escape, and D0 to D7; FF before a marker fills up.
_JPEG_MARKER = re.compile(rb'\xff([^\x00\xd0-\xd7\xff])')
_WITHOUT_LENGTH = (0x01, 0xD8)


def image_problem(data: bytes) -> str | None:
    """What is wrong with the bytes of a JPEG or PNG image; None where it is whole.

    Bytes behind the image's end are no fault: decoders leave them alone.
    """
    if not data:
        return 'is empty'
    if data.startswith(_JPEG):
        return None if _has_jpeg_end(data) else 'is cut short'
    if data.startswith(_PNG):
        return None if b'IEND' in data else 'is cut short'
    return 'is no JPEG or PNG image'


def _has_jpeg_end(data: bytes) -> bool:
    """Walks from segment to segment, since those of thumbnails hold ends of their own."""
    at = len(_JPEG)
    while marker := _JPEG_MARKER.search(data, at):
        code, at = marker[1][0], marker.end()
        if code == 0xD9:
            return True
        if code not in _WITHOUT_LENGTH:
            at += max(int.from_bytes(data[at : at + 2], 'big'), 2)
    return False
