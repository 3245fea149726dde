"""Plays a clip forward, reversed, shuffled or not at all: controls that tell motion from looks."""

import zlib

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

ORDERS = ('forward', 'reversed', 'shuffled', 'static', 'every_second')


@TRANSFORMS.register_module()
class FrameOrder(BaseTransform):
    """Reorder the sampled frames of each clip; goes between sampling and decoding.

    Where the sampled clips are of one frame each, as for networks on single frames, those of a
    video are one clip.

    Args:
        order: ``'forward'`` (default), ``'reversed'``, ``'shuffled'``: a permutation that
            depends on the clip's path and ``seed`` and nothing else, ``'static'``: the first frame
            all along, or ``'every_second'``: every other frame, twice each.
        seed: What the shuffled order is drawn with; 0 or more. Defaults to 0.

    Raises:
        ValueError: ``order`` is none of these, ``seed`` is negative or has no effect.
    """

    def __init__(self, order: str = 'forward', seed: int = 0) -> None:
        if order not in ORDERS:
            raise ValueError(f'FrameOrder: order: got {order!r}; accepted are {ORDERS}')
        if seed < 0 or (seed and order != 'shuffled'):
            raise ValueError(
                f"FrameOrder: seed must be 0 or more, and order='shuffled', got seed={seed} and "
                f'{order!r}'
            )
        self.order = order
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Reorder ``frame_inds``, (num_clips * clip_len,), within each clip."""
        if self.order == 'forward':
            return results
        length = results['clip_len']
        if length == 1:
            length = results.get('num_clips', 1)
        clips = np.asarray(results['frame_inds']).reshape(-1, length)
        if self.order == 'reversed':
            clips = clips[:, ::-1]
        elif self.order == 'static':
            clips = np.repeat(clips[:, :1], length, axis=1)
        elif self.order == 'every_second':
            clips = np.repeat(clips[:, ::2], 2, axis=1)[:, :length]
        else:
            path = results.get('filename') or results['frame_dir']
            key = zlib.crc32(path.encode())
            rng = np.random.default_rng([key, self.seed] if self.seed else key)
            clips = rng.permuted(clips, axis=1)
        results['frame_inds'] = clips.reshape(-1)
        return results
