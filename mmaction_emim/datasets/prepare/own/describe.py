"""What a clip is: its length, size, rate and codec."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import av

from mmaction_emim.datasets.prepare.verify import Verdict, check_video, verify


class Description(NamedTuple):
    """A clip's header, and what became of decoding it.

    Attributes:
        frames: 0 where it cannot be read.
        fps: Frames a second; 0.0 where unknown.
        height: Pixels of a frame, upright.
        width: Likewise.
        codec: FFmpeg's name, such as ``'h264'``.
        problem: Why it cannot be read; ``''`` where it can.
        digest: Equal for clips that are likely to hold the same.
        remark: What is odd about its time stamps; ``''`` if nothing.
    """

    frames: int = 0
    fps: float = 0.0
    height: int = 0
    width: int = 0
    codec: str = ''
    problem: str = ''
    digest: str = ''
    remark: str = ''

    @property
    def seconds(self) -> float:
        """Length; 0.0 where unknown."""
        return self.frames / self.fps if self.fps else 0.0


def describe_clips(
    root: Path, paths: Iterable[str], cache_file: Path, workers: int
) -> dict[str, Description]:
    """Decode and describe clips, in parallel.

    Args:
        root: Folder of the clips.
        paths: Relative to it.
        cache_file: As :func:`.verify`'s, whose verdicts these are.
        workers: Processes.
    """
    keyed = {path: root / path for path in paths}
    verdicts = verify(keyed, check_video, cache_file, workers)
    with ThreadPoolExecutor(workers) as pool:  # only headers of what a process could decode
        found = pool.map(_describe, keyed.values(), [verdicts[path] for path in keyed])
        return dict(zip(keyed, found, strict=True))


def _describe(path: Path, verdict: Verdict) -> Description:
    if verdict.problem:
        return Description(problem=verdict.problem)
    with av.open(str(path), metadata_errors='ignore') as container:
        stream = container.streams.best('video')
        frame = next(container.decode(stream))
        size = frame.height, frame.width
        return Description(
            verdict.frames,
            float(stream.average_rate or 0),
            *(size if frame.rotation % 180 == 0 else size[::-1]),
            stream.codec_context.codec.canonical_name,
            '',
            verdict.digest,
            verdict.remark,
        )
