"""What a page in the browser says of an upload; demo/web.py shows it with gradio.

Needs neither gradio nor a browser.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.stream_source import StreamSource
from mmaction_emim.evaluation.protocol import keeps_size
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.utils.command_line import explain
from mmaction_emim.visualization import (
    input_frames,
    motion_field_clip,
    record_motion_fields,
    write_pictures,
)
from mmaction_emim.visualization.timeline import TimelineRecord, draw_timeline

from .clips import Clip
from .inferencer import MotionInferencer
from .stream import MotionStream

MEGABYTES, SECONDS, SIDES = 50, 120.0, (2160, 3840)
MIB = 2**20  # what gradio calls a megabyte
FPS = 25.0  # where a clip does not say its own
TIMELINE_SIDE = 480  # pixels of the short side of a timeline's frames, at most
SHORT_SIDE = 64  # the same of all frames where the config names no size: MotionShapes' own


class Answer(NamedTuple):
    """What the page shows: a sentence, probabilities by name, a video's path, a picture.

    The picture is (H, W, 3) uint8, RGB. What there is nothing of is None.
    """

    message: str
    bars: dict[str, float] | None = None
    motion: str | None = None
    timeline: np.ndarray | None = None


class Page:
    """The answers of one or several networks, and the limits of what they take.

    Args:
        models: Config and checkpoint by the name in the list.
        folder: Where uploads and videos lie.
        megabytes: The largest file. Default 50.
        seconds: The longest clip. Default 120.
        device: Default None: a GPU where there is one.
        short_side: Pixels to which larger frames are scaled down where a config keeps their size.
            Default 64.
    """

    def __init__(
        self,
        models: dict[str, tuple[str, str | Path]],
        folder: Path,
        megabytes: float = MEGABYTES,
        seconds: float = SECONDS,
        device: str | None = None,
        short_side: int = SHORT_SIDE,
    ) -> None:
        self.models, self.folder = models, folder
        self.megabytes, self.seconds, self.device = megabytes, seconds, device
        self.short_side = short_side
        self._loaded: dict[str, MotionInferencer] = {}

    def inferencer(self, model: str) -> MotionInferencer:
        """The network of this name, loaded once."""
        if model not in self._loaded:
            loaded = MotionInferencer(*self.models[model], self.device, show_progress=False)
            if keeps_size(loaded.cfg):  # else minutes, and gigabytes
                loaded.short_side = self.short_side
            self._loaded[model] = loaded
        return self._loaded[model]

    def answer(self, path: Path, name: str, model: str) -> Answer:
        """What the network says of a file; of one that it cannot read, why."""
        try:
            return self._answer(path, name, model)
        except Exception as error:  # of any class, as files are anybody's
            return Answer(plain(explain(error), path, name))

    def _answer(self, path: Path, name: str, model: str) -> Answer:
        size = path.stat().st_size
        if size > self.megabytes * MIB:
            raise ValueError(f'{name}: {size / MIB:.0f} MB, and {self.megabytes:g} MB are the most')
        if not size:
            raise ValueError(f'{name}: the file is empty')
        reader = VideoReader(path, name=name)
        if not len(reader):
            raise ValueError(f'{name}: the clip has no frames')
        fps = reader.get_avg_fps() or FPS
        if len(reader) / fps > self.seconds:
            raise ValueError(
                f'{name}: lasts {len(reader) / fps:.0f} seconds, and {self.seconds:g} are the most'
            )
        sides = sorted(reader.get_batch([0]).shape[1:3])
        if any(side > most for side, most in zip(sides, SIDES, strict=True)):
            raise ValueError(
                f'{name}: frames of {sides[1]} x {sides[0]} pixels, and {SIDES[1]} x {SIDES[0]} '
                'are the most'
            )
        inferencer = self.inferencer(model)
        views = inferencer.load(Clip(name, path))
        with self._motion(inferencer) as fields:
            (scores,) = inferencer.view_scores([views])
        prediction = inferencer.predict(name, scores)
        message = f'{name}: {prediction.answer}'
        if prediction.labels is None:
            message += f', {prediction.probability:.0%}'
        if inferencer.short_side and sides[0] > inferencer.short_side:
            message += f' (scaled to {inferencer.short_side} pixels, as the config names no size)'
        if not fields:
            message += ' (the network has no EMIM layer: no motion field)'
        return Answer(
            message,
            {guess.name: guess.probability for guess in prediction.top},
            self._write(views, next(iter(fields.values()))) if fields else None,
            self._timeline(inferencer, path, len(reader), fps),
        )

    @contextmanager
    def _motion(self, inferencer: MotionInferencer) -> Iterator[dict]:
        if any(isinstance(module, EMIMAttention) for module in inferencer.model.modules()):
            with record_motion_fields(inferencer.model) as fields:
                yield fields
        else:
            yield {}

    def _write(self, views: Any, field: Any) -> str:
        (first, *_) = input_frames(views, len(field.confidence))
        pictures = motion_field_clip(first, type(field)(*(x[0] for x in field)))
        path = self.folder / f'motion-{os.urandom(8).hex()}.mp4'
        write_pictures(pictures, path)
        return str(path)

    def _timeline(
        self, inferencer: MotionInferencer, path: Path, frames: int, fps: float
    ) -> np.ndarray | None:
        stream = MotionStream(inferencer)
        if frames < 2 * stream.span(fps):
            return None
        record = TimelineRecord()
        for window in stream(StreamSource(path, TIMELINE_SIDE)):
            record.add(window.start, window.end, window.smoothed)
        return draw_timeline(*record.read(), inferencer.names)


def plain(sentence: str, path: Path, name: str) -> str:
    """The sentence without this computer's paths and FFmpeg's words."""
    sentence = sentence.replace(str(path), name)
    invalid = ': cannot be read: Invalid data found when processing input'
    return sentence.replace(invalid, ' is no video, or a damaged one')
