"""Plays a clip forward, reversed, shuffled or not at all: controls that tell motion from looks."""

import zlib

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

ORDERS = ('forward', 'reversed', 'shuffled', 'static')


@TRANSFORMS.register_module()
class FrameOrder(BaseTransform):
    """Reorder the sampled frames of each clip; goes between sampling and decoding.

    Args:
        order: ``'forward'`` (default), ``'reversed'``, ``'shuffled'``: a permutation that
            depends on the clip's path and nothing else, or ``'static'``: the first frame all along.

    Raises:
        ValueError: ``order`` is none of these.
    """

    def __init__(self, order: str = 'forward') -> None:
        if order not in ORDERS:
            raise ValueError(f'FrameOrder: order: got {order!r}; accepted are {ORDERS}')
        self.order = order

    def transform(self, results: dict) -> dict:
        """Reorder ``frame_inds``, (num_clips * clip_len,), within each clip."""
        if self.order == 'forward':
            return results
        clips = np.asarray(results['frame_inds']).reshape(-1, results['clip_len'])
        if self.order == 'reversed':
            clips = clips[:, ::-1]
        elif self.order == 'static':
            clips = np.repeat(clips[:, :1], clips.shape[1], axis=1)
        else:
            path = results.get('filename') or results['frame_dir']
            rng = np.random.default_rng(zlib.crc32(path.encode()))
            clips = rng.permuted(clips, axis=1)
        results['frame_inds'] = clips.reshape(-1)
        return results
