"""Opens clips with decord, except those of which it is known to return other frames.

decord 0.6.0 seeks without asking whether a frame can be decoded from where it arrived, and takes
the frames of a container by their place, hidden ones too. benchmarks/reader_truth.py shows it.
"""

import io
import os
import re
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import av
import numpy as np

from .reader import CONTAINERS, VideoReader, decodes_alone, name_of, scaled_size

ALIKE = ('decord', 'decord2', 'eva-decord')  # distributions that all bring a package `decord`


def import_decord() -> ModuleType:
    """The module.

    Raises:
        ImportError: It is missing, or several distributions overwrote each other's files.
    """
    found = [name for name in ALIKE if _is_installed(name)]
    if len(found) > 1:
        raise ImportError(
            f'{" and ".join(found)} are installed together and overwrite each other: uninstall '
            "all of them, then install one; or take reader='pyav', which needs none"
        )
    try:
        import decord
    except ImportError as error:
        raise ImportError(
            f"reader='decord' needs decord, which cannot be imported ({error}); "
            "reader='pyav' needs nothing more"
        ) from error
    return decord


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def open_with_decord(
    source: str | os.PathLike | bytes, short_side: int | None = None, name: str | None = None
) -> Any:
    """A ``decord.VideoReader`` with one thread: with others it fails on some VP9 clips.

    Args:
        source: Path of a file, or its content.
        short_side: As :class:`~mmaction_emim.datasets.reader.VideoReader`'s.
        name: As :class:`~mmaction_emim.datasets.reader.VideoReader`'s.

    Raises:
        ValueError: decord cannot open the clip, or is known to misread its kind.
    """
    decord = import_decord()

    def opened(**size: int) -> Any:
        file = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
        return decord.VideoReader(file, num_threads=1, **size)

    try:
        if kind := misread_kind(source):
            raise ValueError(f'decord may return other frames of {kind}')
        ours, reader = VideoReader(source), opened()
        if len(ours) != len(reader):
            raise ValueError(f'decord counts {len(reader)} frames of {len(ours)}')
        if not len(reader):
            return reader
        first = reader[0].asnumpy()
        reader.seek(0)
        expected = ours.get_batch([0])[0]
        if (
            first.shape != expected.shape
            or np.abs(np.subtract(first, expected, dtype=int)).mean() > 9
        ):
            raise ValueError("decord's frame 0 is another picture")
        size = first.shape[:2]
        reduced = scaled_size(*size, short_side)
        return reader if reduced == size else opened(height=reduced[0], width=reduced[1])
    except Exception as error:  # decord's own class is private
        # Its messages have a stack trace, and the position in its source.
        cause = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        cause = re.sub(r'^.*\.cc:\d+: (Check failed: )?', '', cause)
        raise ValueError(
            f"{name or name_of(source)}: {cause} (reader='pyav' may read it)"
        ) from error


def misread_kind(source: str | os.PathLike | bytes) -> str:
    """What decord 0.6.0 is known to return other frames of, if the clip is such; else ``''``.

    Raises:
        av.FFmpegError: FFmpeg cannot read the clip.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
    with av.open(file, metadata_errors='ignore') as container:
        stream = container.streams.best('video')
        if stream is None:
            return ''  # decord says so itself
        if stream != container.streams.video[0]:
            return 'clips with several video streams'
        codec = stream.codec_context.codec.canonical_name
        stamps, keys, hidden, open_group, whole_keys = [], [], False, False, True
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.is_keyframe:
                keys.append(packet.pts)
                if len(keys) == 2 and codec == 'h264':
                    whole_keys = decodes_alone(stream.codec_context, packet)
                if len(keys) == 2 and codec == 'mpeg4':  # the two bits after VOP's start: intra
                    whole_keys = (
                        re.search(rb'\x00\x00\x01\xb6[\x00-\x3f]', bytes(packet)) is not None
                    )
            hidden |= packet.is_discard
            open_group |= (
                bool(keys) and None not in (packet.pts, keys[-1]) and packet.pts < keys[-1]
            )
            stamps.append(packet.pts)
        reorders = stream.codec_context.has_b_frames
        name = container.format.name
    if name not in CONTAINERS and not (name == 'avi' and codec == 'mpeg4'):
        return f'{codec} in {name}'
    if codec == 'mpeg4' and reorders:
        return 'MPEG-4 with B-frames'
    if hidden:
        return 'clips with an edit list'
    if open_group:
        return 'clips with open groups of pictures'
    if not whole_keys:
        return 'clips of which a key frame needs earlier ones'
    if len(set(stamps)) < len(stamps):
        return 'clips with equal or no time stamps'
    return ''
