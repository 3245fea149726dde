"""Predictions over time: windows of a long video, a camera or a stream, each frame decoded once::

    stream = MotionStream(MotionInferencer('emim_k400', 'epoch_110.pth'))
    for window in stream('rtsp://camera/1'):
        print(window.start, window.end, window.smoothed.argmax())

Frames come from a :class:`.StreamSource`.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmaction_emim.datasets.stream_source import StreamSource
from mmaction_emim.models.frame_memory import FrameMemory

from .inferencer import MotionInferencer
from .prediction import Prediction
from .windows import Counts, SlidingWindows, WindowFrames

WHOLE_CLIP_SECONDS = 4.0  # the average clip of Something-Something


class StreamWindow(NamedTuple):
    """What the network says of one window.

    Attributes:
        first: Number of its first frame.
        last: Number of its last frame.
        start: Seconds of its first frame.
        end: Seconds of its last frame.
        prediction: The answer on this window alone.
        smoothed: Probabilities (classes,), float32, averaged with the windows before.
        images: Frames (H, W, 3) that no window before had; empty unless asked for.
    """

    first: int
    last: int
    start: float
    end: float
    prediction: Prediction
    smoothed: np.ndarray
    images: list[np.ndarray]


class MotionStream:
    """Slides a window over a source and yields what the network says of each.

    A window is ``span`` frames that follow each other. The config's own test pipeline samples from
    them and prepares them, so a window has the scores that :class:`.MotionInferencer` gives a clip
    of these frames. Windows start ``stride`` frames apart; a file's last one ends with its last
    frame, and a file of fewer than ``span`` frames is one window.

    Memory is bounded: three batches of windows, whose frames overlap. When the network is slower
    than a live source, the window that waited longest is dropped and counted; a file waits.

    Args:
        inferencer: The network, its config and the names of its classes.
        span: Frames of a window. Default None: ``clip_len * frame_interval`` of the config's
            sampling; 4 seconds where it spreads its frames over the whole clip.
        stride: Frames from one window's start to the next one's. Default None: a quarter of
            ``span``.
        batch_size: Windows that go through the network together; of a live source those that are
            there. Defaults to 4.
        smooth: Windows that are averaged, this one and those before; 1 averages none. Defaults to
            3.
        reuse: Whether what was computed of a frame serves all its windows, which is exact
            (:class:`.FrameMemory`). Default None: where the network allows it.

    Attributes:
        windows: Windows that were scored.
        dropped_frames: Frames that no window held because of that.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        inferencer: MotionInferencer,
        span: int | None = None,
        stride: int | None = None,
        batch_size: int = 4,
        smooth: int = 3,
        reuse: bool | None = None,
    ) -> None:
        given = dict(span=span, stride=stride, batch_size=batch_size, smooth=smooth)
        for name, value in given.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(
                    f'MotionStream: {name} must be an integer of 1 or more, got {value!r}'
                )
        self.inferencer = inferencer
        self.batch_size = batch_size
        self.smooth = smooth
        self._span, self._stride = span, stride
        reason = 'reuse=False' if reuse is False else why_not_reuse(inferencer)
        if reuse and reason:
            raise ValueError(f'MotionStream: reuse=True: {reason}')
        self._memory = None if reason else FrameMemory(inferencer.model)
        self._counts = Counts()
        self.windows = self.dropped_frames = 0

    @property
    def frames(self) -> int:
        """Frames that were decoded."""
        return self._counts.frames

    @property
    def dropped_windows(self) -> int:
        """Windows of a live source that the network had no time for."""
        return self._counts.dropped

    @property
    def reuses_frames(self) -> bool:
        """Whether what was computed of a frame serves all its windows."""
        return self._memory is not None

    def counts(self) -> dict[str, int]:
        """Frames and windows until now, and what was dropped of a live source."""
        names = ('frames', 'windows', 'dropped_windows', 'dropped_frames')
        return {name: getattr(self, name) for name in names}

    def span(self, fps: float) -> int:
        """Frames of a window of a source with so many frames a second."""
        sampled = self.inferencer.sampled_span()
        return self._span or sampled or max(2, round(WHOLE_CLIP_SECONDS * fps))

    def stride(self, fps: float) -> int:
        """Frames from one window's start to the next one's."""
        return self._stride or max(1, self.span(fps) // 4)

    def __call__(
        self,
        source: StreamSource | str | os.PathLike | int,
        top_k: int = 5,
        with_images: bool = False,
    ) -> Iterator[StreamWindow]:
        """What the network says of each window, in their order.

        Args:
            source: What :class:`.StreamSource` takes, or one.
            top_k: How many classes each window's prediction names. Default 5.
            with_images: Whether the frames are handed out too, to draw on them. Default False.

        Raises:
            OSError: The source cannot be opened, or a live one stays away.
            ValueError: It is no video, or has no frames.
            FloatingPointError: Scores of a window are not finite.
        """
        if not isinstance(source, StreamSource):
            source = StreamSource(source)
        smoothing: deque[np.ndarray] = deque(maxlen=self.smooth)
        covered = None  # the frame after those that windows held
        span, stride = self.span(source.fps), self.stride(source.fps)
        between = max(0, stride - span)
        windows = SlidingWindows(
            source, span, stride, self.batch_size, with_images, counts=self._counts
        )
        with closing(iter(windows)) as batches:
            for batch in batches:
                for frames, scores in zip(batch, self._scores(batch), strict=True):
                    first, last = frames.window[0], frames.window[-1]
                    expected = 0 if covered is None else covered + between
                    self.dropped_frames += max(0, first.index - expected)
                    covered = last.index + 1
                    self.windows += 1
                    name = f'{source.address}: frames {first.index} to {last.index}'
                    prediction = self.inferencer.predict(name, scores, top_k)
                    smoothing.append(prediction.probabilities)
                    yield StreamWindow(
                        first.index,
                        last.index,
                        first.seconds,
                        last.seconds,
                        prediction,
                        np.mean(smoothing, axis=0, dtype=np.float32),
                        [frame.image for frame in frames.fresh],
                    )
        if covered is None:
            raise ValueError(f'{source.address}: the clip has no frames')

    def _scores(self, batch: list[WindowFrames]) -> Iterator[Tensor]:
        """Raw scores (views, classes) of each window."""
        if self._memory is not None:
            yield from map(self._scores_from_memory, batch)
            return
        views: list[Tensor] = []
        for frames in batch:
            loaded = distinct_views(
                self.inferencer.load(np.stack([frame.image for frame in frames.window]))
            )
            if views and views[0].shape != loaded.shape:  # the last window of a file
                yield from self.inferencer.view_scores(views)
                views = []
            views.append(loaded)
        yield from self.inferencer.view_scores(views)

    def _scores_from_memory(self, frames: WindowFrames) -> Tensor:
        window, inferencer = frames.window, self.inferencer
        keys = [window[i].index for i in inferencer.sample(len(window))]

        def load(keys: list[int]) -> Tensor:
            images = [window[key - window[0].index].image for key in keys]
            views = [inferencer.load(image[None], sampled=True) for image in images]
            return inferencer.model_inputs(views).flatten(0, 1)  # (N, 3, H, W)

        return self._memory.score(keys, load).float().cpu()


def distinct_views(views: Tensor) -> Tensor:
    """Views of which none is another one: their mean is the same.

    A window has no room for several clips of the config's spacing: all would be the same frames.

    Args:
        views: (views, 3, T, H, W), which are returned as they are where some are there more often
            than others; what has other dimensions is too.
    """
    if views.dim() != 5:
        return views
    kept: list[Tensor] = []
    counts: list[int] = []
    for view in views:
        same = next((i for i, other in enumerate(kept) if torch.equal(view, other)), None)
        if same is None:
            kept.append(view)
            counts.append(1)
        else:
            counts[same] += 1
    return torch.stack(kept) if len(set(counts)) == 1 else views


def why_not_reuse(inferencer: MotionInferencer) -> str:
    """Why what was computed of a frame does not serve other windows; '' where it does."""
    if (inferencer.cfg.get('test_cfg') or {}).get('fp16'):
        return 'test_cfg.fp16 is set'
    if reason := FrameMemory.why_not(inferencer.model):
        return reason
    views = inferencer.load(np.zeros((1, 240, 320, 3), np.uint8), sampled=True)
    return '' if len(views) == 1 else 'the test pipeline makes several crops of a frame'
