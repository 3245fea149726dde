"""Pictures to PNG, GIF and MP4 files."""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SUFFIXES = ('.png', '.gif', '.mp4')


def check_suffix(path: Path) -> None:
    """Refuse a file whose name says no format that :func:`write_pictures` writes.

    Raises:
        ValueError: The suffix is none of ``.png``, ``.gif``, ``.mp4``.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f'{path}: the suffix must be one of {", ".join(SUFFIXES)}')


def write_pictures(pictures: Iterable[np.ndarray], path: Path, fps: float = 4.0) -> None:
    """Write pictures so that no half file is ever there.

    Args:
        pictures: (h, w, 3) uint8, RGB, all of one size; for PNG one alone.
        path: ``.png``, ``.gif`` (plays again and again) or ``.mp4`` (H.264, which browsers play);
            its folder is made.
        fps: Pictures a second. Defaults to 4.

    Raises:
        ValueError: The suffix is another, or several pictures were to be one PNG.
    """
    path = Path(path)
    check_suffix(path)
    suffix = path.suffix.lower()
    if suffix == '.png' and len(pictures := list(pictures)) != 1:
        raise ValueError(f'{path}: a PNG holds one picture, got {len(pictures)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.stem}.part{suffix}')
    {'.png': _png, '.gif': _gif, '.mp4': _mp4}[suffix](pictures, partial, fps)
    os.replace(partial, path)


def _png(pictures: Iterable[np.ndarray], path: Path, fps: float) -> None:
    Image.fromarray(pictures[0]).save(path, optimize=True)


def _gif(pictures: Iterable[np.ndarray], path: Path, fps: float) -> None:
    images = map(Image.fromarray, pictures)
    duration = round(1000 / fps)
    next(images).save(path, save_all=True, append_images=images, duration=duration, loop=0)


def _mp4(pictures: Iterable[np.ndarray], path: Path, fps: float) -> None:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt, stream.options = 'yuv420p', {'crf': '18'}
        for number, picture in enumerate(pictures):
            height, width = (side - side % 2 for side in picture.shape[:2])  # as yuv420p needs it
            if not number:
                stream.width, stream.height = width, height
            cut = np.ascontiguousarray(picture[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(cut, format='rgb24')))
        container.mux(stream.encode())
