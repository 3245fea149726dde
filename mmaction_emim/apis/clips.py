"""What may be predicted: files, folders, arrays, bytes, cameras and network streams, as clips."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmaction_emim.datasets.frame_sources import ArrayFrames, FolderFrames, images_in, record
from mmaction_emim.datasets.reader import VIDEO_SUFFIXES, VideoReader
from mmaction_emim.utils.files import walk

ADDRESS = re.compile(r'(rtsps?|https?)://', re.IGNORECASE)
SECONDS = 4.0  # of a camera or a network stream

Source = str | Path | bytes | np.ndarray | int


@dataclass(eq=False)
class Clip:
    """One clip, which is not opened before it is used.

    Attributes:
        name: What reports call it.
        source: Path of a video file or of a folder of images, the content of a video file, frames
            (T, H, W, 3) uint8 RGB, the number of a camera, or an ``rtsp`` or ``http`` address.
        seconds: How long a camera or an address is recorded.
    """

    name: str
    source: Source
    seconds: float = SECONDS
    _recorded: ArrayFrames | None = field(default=None, repr=False)

    @property
    def is_video(self) -> bool:
        """Whether it is a video file or its content."""
        return isinstance(self.source, bytes) or (
            isinstance(self.source, Path) and not self.source.is_dir()
        )

    def open(self) -> VideoReader | ArrayFrames | FolderFrames:
        """A reader of its frames: ``len``, ``get_avg_fps``, ``get_batch``.

        A camera or an address is recorded when it is first opened, and kept.

        Raises:
            OSError: There is no such file.
            ValueError: It holds no frames that can be read.
        """
        if isinstance(self.source, np.ndarray):
            return ArrayFrames(self.source, name=self.name)
        if self.is_video:
            source = self.source if isinstance(self.source, bytes) else str(self.source)
            return VideoReader(source, name=self.name)
        if isinstance(self.source, Path):
            return FolderFrames(self.source)
        self._recorded = self._recorded or record(self.source, self.seconds)
        return self._recorded


def clips_of(inputs: Any, seconds: float = SECONDS) -> list[Clip]:
    """The clips of an input or of a list of inputs, in order.

    Args:
        inputs: A file; a folder, in which all video files are found, those of its folders and of
            links to folders too, and every folder of images as one clip, not hidden ones; frames
            (T, H, W, 3), uint8, RGB; the bytes of a video file; the number of a camera; an
            ``rtsp`` or ``http`` address; or a list of these.
        seconds: How long cameras and addresses are recorded.

    Raises:
        ValueError: A folder holds no clip.
        TypeError: An input is none of these.
    """
    if isinstance(inputs, list | tuple):
        return [clip for i, one in enumerate(inputs) for clip in _of_one(one, f' {i}', seconds)]
    return list(_of_one(inputs, '', seconds))


def _of_one(one: Any, number: str, seconds: float) -> Iterable[Clip]:
    if isinstance(one, Clip):
        return [one]
    if isinstance(one, np.ndarray):
        return [Clip(f'array{number}', one)]
    if isinstance(one, bytes):
        return [Clip(f'bytes{number}', one)]
    if isinstance(one, int) and not isinstance(one, bool):
        return [Clip(f'camera {one}', one, seconds)]
    if isinstance(one, str) and ADDRESS.match(one):
        return [Clip(one, one, seconds)]
    if isinstance(one, str | Path):
        path = Path(one)
        return _search(path) if path.is_dir() else [Clip(str(one), path)]
    raise TypeError(
        'a clip is a file, a folder, frames (T, H, W, 3), bytes, the number of a camera or an '
        f'address, got {type(one).__name__}'
    )


def _search(folder: Path) -> list[Clip]:
    found = []
    for where, names in walk(folder):
        paths = [where / name for name in names]
        found += [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
        if images_in(where):
            found.append(where)
    if not found:
        raise ValueError(f'{folder}: holds no video file and no folder of images')
    return [Clip(str(path), path) for path in sorted(found)]


def scaled_down(image: np.ndarray, short_side: int) -> np.ndarray:
    """The image (H, W, 3), at most so many pixels on its short side: their areas' means."""
    H, W = image.shape[:2]
    if min(H, W) <= short_side:
        return image
    scale = short_side / min(H, W)
    size = round(W * scale), round(H * scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
