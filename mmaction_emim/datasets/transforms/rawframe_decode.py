"""Reads JPEG frames and refuses what OpenCV would read wrongly."""

from mmaction.datasets.transforms import RawFrameDecode
from mmaction.registry import TRANSFORMS
from mmengine.fileio import FileClient

_START, _END = b'\xff\xd8', b'\xff\xd9'
_PADDING = 1024  # bytes that some writers add after the end


class _WholeJpegs:
    """The part of a file client that ``RawFrameDecode`` uses."""

    def __init__(self, client: FileClient) -> None:
        self._client = client

    def get(self, path: str) -> bytes:
        data = self._client.get(path)
        if not data:
            raise ValueError(f'{path}: the frame is empty')
        if path.endswith(('.jpg', '.jpeg')):
            if not data.startswith(_START):
                raise ValueError(f'{path}: the frame is no JPEG image')
            if _END not in data[-_PADDING:]:
                raise ValueError(f'{path}: the frame is cut short')
        return data


@TRANSFORMS.register_module()
class CheckedRawFrameDecode(RawFrameDecode):
    """:class:`mmaction.datasets.transforms.RawFrameDecode` that refuses frames that are cut short.

    OpenCV reads a truncated JPEG without an error and fills what is missing with grey. Takes the
    same arguments.

    Raises:
        FileNotFoundError: A frame is missing.
        ValueError: A frame is empty, cut short or no image; the message names it.
    """

    def transform(self, results: dict) -> dict:
        """Add ``imgs``: frames (H, W, 3), RGB, uint8."""
        if self.file_client is None:
            self.file_client = _WholeJpegs(FileClient(self.io_backend, **self.kwargs))
        return super().transform(results)
