"""Clips that were changed at random, and what comes of reading one."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Kinds of tests/datasets/numbered_clips.py: what data sets come in.
KINDS = (
    'VP9, webm', 'VP8, webm', 'H.264, mp4', 'H.264, mov', 'HEVC, open GOP, mkv', 'AV1, mp4',
    'MPEG-4, avi', 'H.264, avi', 'MPEG-2, ts', 'H.264, ts',
)  # fmt: skip
HEADER = 600  # bytes in which the containers say most of what they say


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Bits flipped, in the header or anywhere, bytes set, cut out, repeated, or the end cut off."""
    changed = bytearray(data)
    kind = draw.choice(('bit', 'bits', 'byte', 'header', 'cut', 'remove', 'repeat'))
    for _ in range(draw.choice((1, 2, 8)) if kind in ('bits', 'header') else 1):
        at = draw.randrange(min(len(changed), HEADER) if kind == 'header' else len(changed))
        length = draw.choice((1, 4, 64, 1000))
        if kind == 'byte':
            changed[at] = draw.choice((0, 255, draw.randrange(256)))
        elif kind == 'cut':
            del changed[at:]
        elif kind == 'remove':
            del changed[at : at + length]
        elif kind == 'repeat':
            changed[at:at] = changed[at : at + length]
        else:
            changed[at] ^= 1 << draw.randrange(8)
    return bytes(changed)


def outcome(init: Callable[[dict], dict], path: Path, whole: np.ndarray) -> str:
    """Open and read a clip: ``'same'`` frames as of the ``whole`` one, ``'other'`` or ``'error'``.

    Raises:
        AssertionError: Something else came of it than frames of a size, or a sentence.
    """
    try:
        reader: Any = init(dict(filename=str(path)))['video_reader']
        length = len(reader)
        wanted = sorted({0, length // 3, length // 2, length - 1})
        frames = np.asarray(reader.get_batch(wanted).asnumpy())
    except (ValueError, IndexError) as error:
        assert str(error).startswith(f'{path}: ') and '\n' not in str(error), repr(error)
        return 'error'
    assert frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3, frames.shape
    assert len(frames) == len(wanted) and frames.size
    same = length == len(whole) and frames.shape[1:] == whole.shape[1:]
    return 'same' if same and np.array_equal(frames, whole[wanted]) else 'other'
