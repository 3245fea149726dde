"""Samples frames spread evenly over a span of the video: the sampling of Kinetics' recipes."""

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class SampleSpan(BaseTransform):
    """T frames at ``start + i (span - 1) / (T - 1)``, i = 0 to T - 1, cut to whole indices.

    ``span`` is T times ``frame_interval``, in frames of the video.

    In training ``start`` is uniform in [0, L - span] for each clip, L the frames of the video. In
    tests the clips start evenly spaced over this range, the first at 0 and the last at its end; one
    clip starts in the middle. Where the video is shorter than the span, the last frame is repeated.

    Unlike upstream's ``SampleFrames``, which steps by whole frames and repeats the last frame that
    was on its grid.

    Args:
        clip_len: T, frames of a clip.
        frame_interval: Default 1.
        num_clips: Default 1.
        test_mode: Default False.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self, clip_len: int, frame_interval: int = 1, num_clips: int = 1, test_mode: bool = False
    ) -> None:
        for name, value in (
            ('clip_len', clip_len),
            ('frame_interval', frame_interval),
            ('num_clips', num_clips),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f'SampleSpan: {name} must be an integer of 1 or more, got {value!r}'
                )
        self.clip_len = clip_len
        self.frame_interval = frame_interval
        self.num_clips = num_clips
        self.test_mode = test_mode

    def transform(self, results: dict) -> dict:
        """Add ``frame_inds``, int32 (num_clips * clip_len,), from ``total_frames``."""
        frames = results['total_frames']
        span = self.clip_len * self.frame_interval
        room = max(frames - span, 0)
        if not self.test_mode:
            starts = np.random.uniform(0, room, self.num_clips)
        elif self.num_clips == 1:
            starts = np.array([room / 2])
        else:
            starts = np.linspace(0, room, self.num_clips)
        offsets = np.linspace(0, span - 1, self.clip_len)
        inds = np.clip((starts[:, None] + offsets).astype(np.int32), 0, frames - 1)
        results['frame_inds'] = inds.ravel() + np.int32(results['start_index'])
        results['clip_len'] = self.clip_len
        results['frame_interval'] = self.frame_interval
        results['num_clips'] = self.num_clips
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(clip_len={self.clip_len}, '
            f'frame_interval={self.frame_interval}, num_clips={self.num_clips}, '
            f'test_mode={self.test_mode})'
        )
