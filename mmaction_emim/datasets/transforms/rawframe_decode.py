"""Reads frames and refuses those that OpenCV would read wrongly."""

from mmaction.datasets.transforms import RawFrameDecode
from mmaction.registry import TRANSFORMS
from mmengine.fileio import FileClient

from .image_end import image_problem


class _WholeImages:
    """The part of a file client that ``RawFrameDecode`` uses."""

    def __init__(self, client: FileClient) -> None:
        self._client = client

    def get(self, path: str) -> bytes:
        data = self._client.get(path)
        problem = image_problem(data)
        # Other suffixes may be of formats whose end is not known here.
        if problem and (not data or path.lower().endswith(('.jpg', '.jpeg', '.png'))):
            raise ValueError(f'{path}: the frame {problem}')
        return data


@TRANSFORMS.register_module()
class CheckedRawFrameDecode(RawFrameDecode):
    """:class:`mmaction.datasets.transforms.RawFrameDecode` that refuses frames that are cut short.

    OpenCV reads a truncated JPEG without an error and fills what is missing with grey. PNG images
    may be named ``.jpg``. Takes the same arguments.

    Raises:
        FileNotFoundError: A frame is missing.
        ValueError: A frame is empty, cut short or no image; the message names it.
    """

    def transform(self, results: dict) -> dict:
        """Add ``imgs``: frames (H, W, 3), RGB, uint8."""
        if self.file_client is None:
            self.file_client = _WholeImages(FileClient(self.io_backend, **self.kwargs))
        return super().transform(results)
