"""Files of what a stream says over time, written while it goes on."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mmaction_emim.visualization import write_pictures
from mmaction_emim.visualization.answers import Answer, annotated_frames
from mmaction_emim.visualization.timeline import TimelineRecord, draw_timeline

from .stream import MotionStream, StreamWindow

SUFFIXES = ('.json', '.csv', '.png')
COLUMNS = ('first', 'last', 'start', 'end', 'rank', 'label', 'name', 'smoothed', 'probability')


def write_timeline(
    stream: MotionStream,
    windows: Iterable[StreamWindow],
    paths: Iterable[Path],
    top_k: int = 5,
) -> Iterator[StreamWindow]:
    """Pass windows on and write them; memory does not grow with them.

    A CSV has a row a window and rank at once. A JSON file and a PNG are there when the windows end,
    or when they are interrupted: what was said until then. Of a network for several labels all
    classes are written whose smoothed probability is at or above the threshold: ``there`` of the
    CSV, ``labels`` of the JSON.

    Args:
        stream: What the windows are of.
        windows: From calling it.
        paths: ``.json``, ``.csv``, ``.png``; their folders are made.
        top_k: How many classes of each window are written, if no more are there. Defaults to 5.

    Raises:
        ValueError: A suffix is another.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f'{path}: the suffix must be one of {", ".join(SUFFIXES)}')
        path.parent.mkdir(parents=True, exist_ok=True)
    return _written(stream, windows, paths, top_k)


def _written(
    stream: MotionStream, windows: Iterable[StreamWindow], paths: list[Path], top_k: int
) -> Iterator[StreamWindow]:
    threshold = stream.inferencer.threshold
    with ExitStack() as stack:
        files = [stack.enter_context(WRITERS[path.suffix.lower()](stream, path)) for path in paths]
        for window in windows:
            there = 0 if threshold is None else int((window.smoothed >= threshold).sum())
            order = np.argsort(-window.smoothed, kind='stable')
            best = order[: max(top_k, there)].tolist()
            for file in files:
                file.add(window, best)
            yield window


def annotated_frames_of(
    stream: MotionStream, windows: Iterable[StreamWindow], top_k: int = 5
) -> Iterator[np.ndarray]:
    """The source's frames, each beside the bars of the first window that ended with or after it.

    Args:
        stream: What the windows are of.
        windows: From calling it with ``with_images=True``.
        top_k: How many classes have a bar. Defaults to 5.
    """
    names = stream.inferencer.names
    for window in windows:
        best = np.argsort(-window.smoothed, kind='stable')[:top_k]
        yield from annotated_frames(
            Answer(
                f'{window.start:.1f} to {window.end:.1f} s',
                window.images,
                range(len(window.images)),
                [names[i] for i in best],
                window.smoothed[best].tolist(),
            )
        )


class _File:
    """A file that is there, whole, once it is left."""

    def __init__(self, stream: MotionStream, path: Path) -> None:
        self.stream, self.path = stream, path
        self.names = stream.inferencer.names
        self.threshold = stream.inferencer.threshold  # None: a clip has one label

    def __enter__(self) -> '_File':
        return self

    def __exit__(self, *error: object) -> None: ...

    def add(self, window: StreamWindow, best: list[int]) -> None:
        raise NotImplementedError


class _Csv(_File):
    file: TextIO

    def __enter__(self) -> '_Csv':
        self.file = open(self.path, 'w', encoding='utf-8', newline='', buffering=1)
        self.rows = csv.writer(self.file, lineterminator='\n')
        self.rows.writerow(COLUMNS if self.threshold is None else (*COLUMNS, 'there'))
        return self

    def add(self, window: StreamWindow, best: list[int]) -> None:
        place = window.first, window.last, f'{window.start:.3f}', f'{window.end:.3f}'
        for rank, label in enumerate(best, start=1):
            values = (window.smoothed[label], window.prediction.probabilities[label])
            said = [f'{value:.6f}' for value in values]
            if self.threshold is not None:
                said.append('yes' if values[0] >= self.threshold else 'no')
            self.rows.writerow([*place, rank, label, self.names[label], *said])

    def __exit__(self, *error: object) -> None:
        self.file.close()


class _Json(_File):
    def __enter__(self) -> '_Json':
        self.partial = self.path.with_name(f'{self.path.name}.part')
        self.file = open(self.partial, 'w', encoding='utf-8')
        about = json.dumps(self.stream.inferencer.about(), ensure_ascii=False)
        self.file.write(f'{about[:-1]}, "windows": [')
        self.separator = '\n'
        return self

    def add(self, window: StreamWindow, best: list[int]) -> None:
        top: list[dict[str, Any]] = [
            dict(
                label=label,
                name=self.names[label],
                smoothed=round(float(window.smoothed[label]), 6),
                probability=round(float(window.prediction.probabilities[label]), 6),
            )
            for label in best
        ]
        times = dict(start=round(window.start, 3), end=round(window.end, 3))
        entry = dict(first=window.first, last=window.last, **times, top=top)
        if self.threshold is not None:
            entry['labels'] = [x for x in best if window.smoothed[x] >= self.threshold]
        self.file.write(self.separator + json.dumps(entry, ensure_ascii=False))
        self.separator = ',\n'

    def __exit__(self, *error: object) -> None:
        self.file.write(f'\n], "stream": {json.dumps(self.stream.counts())}}}\n')
        self.file.close()
        os.replace(self.partial, self.path)


class _Png(_File):
    def __enter__(self) -> '_Png':
        self.record = TimelineRecord()
        self.empty = True
        return self

    def add(self, window: StreamWindow, best: list[int]) -> None:
        self.record.add(window.start, window.end, window.smoothed)
        self.empty = False

    def __exit__(self, *error: object) -> None:
        if not self.empty:
            write_pictures([draw_timeline(*self.record.read(), self.names)], self.path)


WRITERS = {'.csv': _Csv, '.json': _Json, '.png': _Png}
