"""Readers of what is no video file: arrays, folders of images, what a stream showed for a while.

As :class:`.reader.VideoReader` they give ``len``, ``get_avg_fps`` and ``get_batch``.
"""

import re
from collections.abc import Iterable
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import mmcv
import numpy as np

from .reader import Frames
from .stream_source import StreamSource
from .transforms.image_end import image_problem

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
STREAM_SIDE = 480  # pixels of the short side of what is recorded


class ArrayFrames:
    """Frames that are in memory.

    Args:
        frames: (T, H, W, 3) uint8, RGB, T >= 1.
        fps: Frames a second. Default 0.0: unknown.
        name: What errors call them.

    Raises:
        ValueError: The array is none of these.
    """

    def __init__(self, frames: np.ndarray, fps: float = 0.0, name: str = 'array') -> None:
        if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise ValueError(f'{name}: frames must be (T, H, W, 3), got {frames.shape}')
        if frames.dtype != np.uint8:
            raise ValueError(f'{name}: frames must be uint8, 0 to 255, got {frames.dtype}')
        self._frames = frames
        self._fps = fps

    def __len__(self) -> int:
        return len(self._frames)

    def get_avg_fps(self) -> float:
        """Frames a second; 0.0 where unknown."""
        return self._fps

    def get_batch(self, indices: Iterable[int]) -> Frames:
        """Frames (len(indices), H, W, 3), RGB, uint8."""
        return self._frames[list(indices)].view(Frames)


class FolderFrames:
    """The images of a folder in the order of the numbers in their names.

    Raises:
        ValueError: The folder holds no image.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(images_in(folder), key=_numbers)
        if not self._paths:
            raise ValueError(f'{folder}: the folder holds no image')

    def __len__(self) -> int:
        return len(self._paths)

    def get_avg_fps(self) -> float:
        """0.0: images do not tell."""
        return 0.0

    def get_batch(self, indices: Iterable[int]) -> Frames:
        """Frames (len(indices), H, W, 3), RGB, uint8.

        Raises:
            ValueError: An image is empty, cut short or none, or has another size.
        """
        indices = list(indices)
        read = {i: _read_image(self._paths[i]) for i in set(indices)}
        if len(sizes := sorted({image.shape[:2] for image in read.values()})) > 1:
            raise ValueError(f'{self._paths[0].parent}: images differ in size (H, W): {sizes}')
        return np.stack([read[i] for i in indices]).view(Frames)


def images_in(folder: Path) -> list[Path]:
    """The images that lie in a folder, in no order; no hidden ones, as Macs write beside them."""
    return [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.name.startswith('.')
    ]


def _numbers(path: Path) -> tuple:
    """A key that sorts ``2.jpg`` before ``10.jpg``."""
    return tuple((int(part), part) for part in re.findall(r'\d+', path.stem)), path.name


def _read_image(path: Path) -> np.ndarray:
    data = path.read_bytes()
    checked = path.suffix.lower() in ('.jpg', '.jpeg', '.png')
    problem = image_problem(data) if checked or not data else None
    image = None if problem else mmcv.imfrombytes(data)
    if image is None:
        raise ValueError(f'{path}: the frame {problem or "is no image"}')
    return image[..., ::-1]


def record(source: int | str, seconds: float) -> ArrayFrames:
    """What a camera or a network stream shows from now on, for some seconds of its own time.

    Frames of a stream whose short side has more than 480 pixels are scaled down to so many, so that
    memory stays bounded.

    Args:
        source: Number of a camera or address, as :class:`.StreamSource` takes them.
        seconds: More than 0. A stream that ends sooner gives what it has.

    Raises:
        OSError: The source cannot be opened.
        ValueError: It gives no frame, or ``seconds`` is not above 0.
    """
    name = f'camera {source}' if isinstance(source, int) else source
    if not seconds > 0:
        raise ValueError(f'{name}: seconds must be above 0, got {seconds}')
    stream, frames = StreamSource(source, STREAM_SIDE, reconnects=0), []
    with closing(iter(stream)) as coming:
        try:
            for frame in takewhile(lambda x: x.seconds < seconds, coming):
                frames.append(frame.image)
        except OSError:  # a live stream ended
            if not frames:
                raise
    if not frames:
        raise ValueError(f'{name}: gives no frame')
    return ArrayFrames(np.stack(frames), stream.fps, name)
