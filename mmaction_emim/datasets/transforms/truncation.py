"""Tells a video file that was cut short by what its container says of its own size.

Decoders read such a file without an error, as a shorter clip or with repeated frames.
"""

import io
import os
from typing import BinaryIO

TS_PACKET = 188  # bytes
UNKNOWN = 2**32 - 1  # the size that an avi has whose muxer could not go back


def missing_bytes(source: str | os.PathLike | bytes) -> int:
    """Bytes that a webm/mkv, mp4/mov, avi or ts file lacks at least; 0 where whole or unknown.

    Args:
        source: Path of a file, or its content.

    Raises:
        OSError: The file cannot be read.
    """
    in_memory = isinstance(source, bytes)
    size = len(source) if in_memory else os.path.getsize(source)
    with io.BytesIO(source) if in_memory else open(source, 'rb') as file:
        start = file.read(TS_PACKET + 1)
        if start[:4] == b'\x1a\x45\xdf\xa3':
            end = _end_of_segment(file)
        elif start[:4] == b'RIFF':
            length = int.from_bytes(start[4:8], 'little')
            end = 0 if length == UNKNOWN else 8 + length
        elif start[4:8] in (b'ftyp', b'moov', b'mdat', b'wide', b'free'):
            end = _end_of_boxes(file, size)
        elif start[::TS_PACKET] == b'\x47\x47':
            end = -(-size // TS_PACKET) * TS_PACKET
        else:
            return 0
    return max(end - size, 0)


def _end_of_segment(file: BinaryIO) -> int:
    """Where a Matroska file's segment ends; 0 where it does not say."""
    file.seek(4)
    file.seek(_variable_length(file) or 0, os.SEEK_CUR)  # over the rest of the EBML header
    if file.read(4) != b'\x18\x53\x80\x67':
        return 0
    length = _variable_length(file)
    return 0 if length is None else file.tell() + length


def _variable_length(file: BinaryIO) -> int | None:
    """An EBML size: the zeros before the first one say how many bytes follow."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), 'big')
    return None if value == (1 << 7 * (more + 1)) - 1 else value  # all ones: unknown


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where an MP4 file's last box ends or, where that is of no size, its last sample."""
    end, index = 0, b''
    while end < size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4], 'big')
        if length == 1:  # 64 bits
            length = int.from_bytes(header[8:16], 'big')
        if length < 8:  # 0: to the end of the file; anything else is no box
            return 0 if length else _end_of_samples(index)
        if header[4:8] == b'moov':
            file.seek(end)
            index = file.read(length)
        end += length
    return end


def _end_of_samples(box: bytes) -> int:
    """Where the last sample ends that a box of an MP4 file's index, or one within it, tells of."""
    ends, tables = [0], {}
    at = 8
    while at + 8 <= len(box):
        length, name = int.from_bytes(box[at : at + 4], 'big'), box[at + 4 : at + 8]
        if length < 8:
            break
        if name in (b'trak', b'mdia', b'minf', b'stbl'):
            ends.append(_end_of_samples(box[at : at + length]))
        tables[name] = box[at + 12 : at + length]  # after version and flags
        at += length
    if {b'stsc', b'stsz'} <= tables.keys():
        offset = tables[b'co64'][-8:] if b'co64' in tables else tables.get(b'stco', b'')[-4:]
        in_last_chunk = int.from_bytes(tables[b'stsc'][-8:-4], 'big')
        sizes, one_size = tables[b'stsz'], int.from_bytes(tables[b'stsz'][:4], 'big')
        first = max(8, len(sizes) - 4 * in_last_chunk)  # after that size and the number of samples
        last = [int.from_bytes(sizes[i : i + 4], 'big') for i in range(first, len(sizes), 4)]
        length = in_last_chunk * one_size or sum(last)
        ends.append(int.from_bytes(offset, 'big') + length)
    return max(ends)
