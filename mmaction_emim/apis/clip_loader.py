"""From a clip to the pixels that a network sees, through the test pipeline of its config."""

import logging
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from mmaction_emim.datasets.transforms import CheckedVideoInit
from mmaction_emim.evaluation.protocol import is_2d, keeps_size, test_pipeline

from .clips import Clip, clips_of, scaled_down

LARGE = 512  # pixels of the short side, above which a network takes minutes for a clip


class ClipLoader:
    """Loads clips of any kind as ``tools/test.py`` loads the files of a list.

    Args:
        cfg: A config with a ``test_dataloader``.

    Attributes:
        pipeline: The steps of its test pipeline after the one that opens a video, built.
    """

    def __init__(self, cfg: Config) -> None:
        steps = test_pipeline(cfg)
        opens = next((step for step in steps if 'Init' in _kind(step)), None)
        rest = [step for step in steps if step is not opens]
        self.cfg = cfg
        self._opens = TRANSFORMS.build(opens or dict(type='CheckedVideoInit'))
        self._of_frames = [
            TRANSFORMS.build(dict(type='DecordDecode') if 'Decode' in _kind(step) else step)
            for step in rest
        ]
        # Where nothing opens a video, the config reads folders of images.
        self.pipeline = [TRANSFORMS.build(step) for step in rest] if opens else self._of_frames

    def load(self, clip: Any, sampled: bool = False, short_side: int | None = None) -> Tensor:
        """As :meth:`.MotionInferencer.load`, whose frames ``short_side`` scales down."""
        clips = clips_of(clip)
        if len(clips) != 1:
            raise ValueError(f'load: one clip is needed, got {len(clips)}')
        clip = clips[0]
        data = dict(filename=clip.name, label=-1, start_index=0, modality='RGB')
        reads = clip.is_video and not sampled
        if reads:
            data = self._open_video(data, clip)
        else:
            reader = clip.open()
            data.update(video_reader=reader, total_frames=len(reader), avg_fps=reader.get_avg_fps())
        for step in self.pipeline if reads else self._of_frames:
            if sampled and 'Sample' in type(step).__name__:
                data.update(self._whole(data['total_frames']))
            else:
                data = step(data)
            if data is None:
                raise ValueError(f'{clip.name}: the pipeline gave no clip')
            if short_side and 'Decode' in type(step).__name__:
                data['imgs'] = [scaled_down(image, short_side) for image in data['imgs']]
                data['img_shape'] = data['imgs'][0].shape[:2]
        if not isinstance(data['inputs'], Tensor):
            raise ValueError('the config packs several inputs, and a clip is one')
        if min(size := data['inputs'].shape[-2:]) > LARGE and keeps_size(self.cfg):
            print_log(
                f'{clip.name}: {size[1]} x {size[0]} pixels go through the network, since the '
                'config names no size: slow, if memory lasts; short_side scales them down',
                'current',
                logging.WARNING,
            )
        return data['inputs']

    def sample(self, total_frames: int) -> list[int]:
        """As :meth:`.MotionInferencer.sample`."""
        data = dict(filename='', total_frames=total_frames, start_index=0)
        for step in self._before_decoding():
            data = step(data)
        return data['frame_inds'].ravel().tolist()

    def sampled_span(self) -> int | None:
        """As :meth:`.MotionInferencer.sampled_span`."""
        for step in self._before_decoding():
            clip_len, interval = getattr(step, 'clip_len', 1), getattr(step, 'frame_interval', None)
            if interval and clip_len > 1:
                return clip_len * interval
        return None

    def _before_decoding(self) -> Iterator[Any]:
        return takewhile(lambda step: 'Decode' not in type(step).__name__, self.pipeline)

    def _open_video(self, data: dict, clip: Clip) -> dict:
        if isinstance(clip.source, Path):
            return self._opens({**data, 'filename': str(clip.source)})
        checked = isinstance(self._opens, CheckedVideoInit)
        return (self._opens if checked else CheckedVideoInit())({**data, 'content': clip.source})

    def _whole(self, frames: int) -> dict:
        """What sampling adds, of frames that are all taken."""
        clips = frames if is_2d(self.cfg.model) else 1
        return dict(
            frame_inds=np.arange(frames),
            clip_len=frames // clips,
            frame_interval=1,
            num_clips=clips,
        )


def _kind(step: dict) -> str:
    """The name of what a pipeline's entry builds."""
    return getattr(step['type'], '__name__', step['type'])
