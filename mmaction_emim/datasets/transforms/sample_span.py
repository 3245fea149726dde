"""Samples frames spread evenly over a span of the video: the sampling of Kinetics' recipes."""

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class SampleSpan(BaseTransform):
    """T frames at ``start + i (span - 1) / (T - 1)``, i = 0 to T - 1, cut to whole indices.

    In training ``start`` is uniform in [0, L - span] for each clip, L the frames of the video. In
    tests the clips start evenly spaced over this range, the first at 0 and the last at its end; one
    clip starts in the middle. Where the video is shorter than the span, the last frame is repeated.

    Unlike upstream's ``SampleFrames``, which steps by whole frames and repeats the last frame that
    was on its grid.

    Args:
        clip_len: T, frames of a clip.
        span: Frames of the video that a clip covers, at least ``clip_len``.
        num_clips: Default 1.
        test_mode: Default False.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self, clip_len: int, span: int, num_clips: int = 1, test_mode: bool = False
    ) -> None:
        for name, value, least in (
            ('clip_len', clip_len, 1),
            ('span', span, clip_len),
            ('num_clips', num_clips, 1),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f'SampleSpan: {name} must be an integer of {least} or more, got {value!r}'
                )
        self.clip_len = clip_len
        self.span = span
        self.num_clips = num_clips
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict:
        """Add ``frame_inds``, int32 (num_clips * clip_len,), from ``total_frames``."""
        frames = results['total_frames']
        room = max(frames - self.span, 0)
        if not self.test_mode:
            starts = np.random.uniform(0, room, self.num_clips)
        elif self.num_clips == 1:
            starts = np.array([room / 2])
        else:
            starts = np.linspace(0, room, self.num_clips)
        offsets = np.linspace(0, self.span - 1, self.clip_len)
        inds = np.clip((starts[:, None] + offsets).astype(np.int32), 0, frames - 1)
        results['frame_inds'] = inds.ravel() + np.int32(results['start_index'])
        results['clip_len'] = self.clip_len
        results['frame_interval'] = None
        results['num_clips'] = self.num_clips
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(clip_len={self.clip_len}, span={self.span}, '
            f'num_clips={self.num_clips}, test_mode={self.test_mode})'
        )
