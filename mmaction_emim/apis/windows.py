"""A window that slides over the frames of a source, in batches, each frame decoded once."""

import queue
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from mmaction_emim.datasets.stream_source import Frame, StreamSource


class WindowFrames(NamedTuple):
    """The frames of a window.

    Attributes:
        window: Its frames, in order.
        fresh: Those that no window before had; empty unless asked for.
    """

    window: list[Frame]
    fresh: list[Frame]


@dataclass
class Counts:
    """What went by until now.

    Attributes:
        frames: Frames that were decoded.
        dropped: Windows of a live source that nobody took in time.
    """

    frames: int = 0
    dropped: int = 0


class SlidingWindows:
    """Iterates over batches of windows, which a thread decodes in the meantime.

    A window is ``span`` frames that follow each other; windows start ``stride`` frames apart. A
    source of fewer than ``span`` frames is one window.

    Memory is bounded: three batches of windows, whose frames overlap. When a live source is not
    waited for, the window that waited longest is dropped and counted; a file waits.

    Args:
        source: The frames.
        span: Frames of a window.
        stride: Frames from one window's start to the next one's.
        batch_size: Windows of a batch; of a live source those that are there.
        keep_fresh: Whether windows hold their ``fresh`` frames. Default False.
        last: Whether a window more ends with the source's last frame, where there are frames
            behind the others. Default True.
        counts: Counted on from. Default None: from 0.
    """

    def __init__(
        self,
        source: StreamSource,
        span: int,
        stride: int,
        batch_size: int,
        keep_fresh: bool = False,
        last: bool = True,
        counts: Counts | None = None,
    ) -> None:
        self.source, self.span, self.stride = source, span, stride
        self.batch_size, self.keep_fresh, self.last = batch_size, keep_fresh, last
        self.counts = counts or Counts()

    def __iter__(self) -> Iterator[list[WindowFrames]]:
        with self._filled() as waiting:
            while batch := self._batch(waiting):
                yield batch

    @contextmanager
    def _filled(self) -> Iterator[queue.Queue]:
        """A queue that a thread fills: windows, then None or the error that ended it."""
        waiting: queue.Queue = queue.Queue(maxsize=self.batch_size)
        stop = threading.Event()

        def put(item: WindowFrames | Exception | None) -> None:
            while not stop.is_set():
                if self.source.is_live and isinstance(item, WindowFrames) and waiting.full():
                    self._drop_oldest(waiting)
                try:
                    return waiting.put(item, timeout=0.1)
                except queue.Full:
                    pass

        def fill() -> None:
            end = None
            try:
                for frames in self._slide():
                    put(frames)
                    if stop.is_set():
                        return
            except Exception as error:
                end = error
            put(end)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        try:
            yield waiting
        finally:
            stop.set()
            thread.join(timeout=self.source.timeout)

    def _drop_oldest(self, waiting: queue.Queue) -> None:
        try:
            waiting.get_nowait()
            self.counts.dropped += 1
        except queue.Empty:
            pass  # it was taken in the meantime

    def _slide(self) -> Iterator[WindowFrames]:
        ring: deque[Frame] = deque(maxlen=self.span)
        fresh: list[Frame] = []
        run = since = 0  # frames since the source was opened, since the last window
        for frame in self.source:
            if frame.is_first:  # frames before it are not its neighbours
                ring.clear()
                run = 0
            ring.append(frame)
            if self.keep_fresh:
                fresh.append(frame)
            self.counts.frames += 1
            run, since = run + 1, since + 1
            if run >= self.span and (run - self.span) % self.stride == 0:
                yield WindowFrames(list(ring), fresh)
                fresh, since = [], 0
        if since and (self.last or run < self.span):
            yield WindowFrames(list(ring), fresh)

    def _batch(self, waiting: queue.Queue) -> list[WindowFrames]:
        batch: list[WindowFrames] = []
        while len(batch) < self.batch_size:
            try:
                item = waiting.get(block=not (batch and self.source.is_live))
            except queue.Empty:
                break
            if not isinstance(item, WindowFrames):
                if item is not None and not batch:
                    raise item
                waiting.put(item)  # for the next call
                break
            batch.append(item)
        return batch
