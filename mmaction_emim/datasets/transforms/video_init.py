"""Opens a video so that every frame handed out is the one that was asked for, or none is."""

import logging
import os.path as osp
from typing import Any

from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.fileio import FileClient
from mmengine.logging import print_log

from mmaction_emim.datasets.decord_reader import import_decord, open_with_decord
from mmaction_emim.datasets.reader import VideoReader

from .truncation import missing_bytes


@TRANSFORMS.register_module()
class CheckedVideoInit(BaseTransform):
    """Opens a clip and refuses what is empty or cut short. ``DecordDecode`` comes after it.

    Args:
        reader: ``'pyav'`` (default): :class:`mmaction_emim.datasets.reader.VideoReader`, which is
            exact; or ``'decord'``, which returns frames of other positions from some clips: those
            whose header tells so are refused.
        short_side: Frames whose short side has more pixels are scaled down to so many by the
            decoder (bicubic), which costs less than a ``Resize`` of what was decoded. Default
            None: never, since transforms before the crop would see other pixels.
        strict: Damage that FFmpeg notices and would conceal is an error, too: see
            :class:`mmaction_emim.datasets.reader.VideoReader`. Default False. ``'pyav'`` only.
        io_backend: MMEngine's name of where the files are. ``'disk'`` (default) opens them by
            their path, others read them into memory.
        **kwargs: Arguments of the backend's client; that of ``'disk'`` has none.

    Raises:
        TypeError: An argument is unknown.
        ValueError: An argument is none of these, or a clip is empty, cut short or damaged, has no
            frames, or is one that decord misreads.
        ImportError: ``reader='decord'`` and decord is missing, or installed beside decord2.
    """

    def __init__(
        self,
        reader: str = 'pyav',
        short_side: int | None = None,
        strict: bool = False,
        io_backend: str = 'disk',
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if reader not in ('pyav', 'decord'):
            raise ValueError(f"{name}: reader must be 'pyav' or 'decord', got {reader!r}")
        if short_side is not None and (not isinstance(short_side, int) or short_side < 2):
            raise ValueError(
                f'{name}: short_side must be an integer of 2 or more or None, got {short_side!r}'
            )
        if not isinstance(strict, bool) or strict and reader == 'decord':
            raise ValueError(
                f"{name}: strict must be False, or True with reader='pyav', got {strict!r} with "
                f'{reader!r}'
            )
        if kwargs and io_backend == 'disk':
            raise TypeError(
                f'{name}.__init__() got an unexpected keyword argument {next(iter(kwargs))!r}'
            )
        if reader == 'decord':
            import_decord()  # told now, not of every clip
        self.reader = reader
        self.short_side = short_side
        self.strict = strict
        self.io_backend = io_backend
        self.kwargs = kwargs
        self._client = None

    def transform(self, results: dict) -> dict:
        """Add ``video_reader``, ``total_frames`` and ``avg_fps`` to a dict with ``filename``.

        Where it has ``content``, the bytes of a file, these are read, and ``filename`` names them.
        """
        source = name = results['filename']
        if 'content' in results:
            source = results['content']
        elif self.io_backend != 'disk':
            self._client = self._client or FileClient(self.io_backend, **self.kwargs)
            source = bytes(self._client.get(name))  # some give a memoryview
        if not (len(source) if isinstance(source, bytes) else osp.getsize(source)):
            raise ValueError(f'{name}: the file is empty')
        if lacking := missing_bytes(source):
            raise ValueError(f'{name}: cut short, {lacking} bytes or more are missing')
        if self.reader == 'pyav':
            reader = VideoReader(source, self.short_side, name, self.strict)
        else:
            reader = open_with_decord(source, self.short_side, name)
        if not len(reader):
            raise ValueError(f'{name}: the clip has no frames')
        results.update(video_reader=reader, total_frames=len(reader), avg_fps=reader.get_avg_fps())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(reader={self.reader!r}, short_side={self.short_side}, '
            f'strict={self.strict}, io_backend={self.io_backend!r})'
        )


@TRANSFORMS.register_module()
class CheckedDecordInit(CheckedVideoInit):
    """The earlier name of :class:`CheckedVideoInit`, for configs that have it. Reads with PyAV.

    Args:
        io_backend: As :class:`CheckedVideoInit`'s.
        num_threads: Without effect: decord's, which no longer reads here.
        fallback: Without effect: what read the clips that decord could not reads them all.
        short_side: As :class:`CheckedVideoInit`'s.
        **kwargs: As :class:`CheckedVideoInit`'s.
    """

    def __init__(
        self,
        io_backend: str = 'disk',
        num_threads: int = 1,
        fallback: str | None = None,
        short_side: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(short_side=short_side, io_backend=io_backend, **kwargs)
        given = dict(num_threads=num_threads, fallback=fallback)
        unused = [f'{key}={value!r}' for key, value in given.items() if value not in (None, 1)]
        effect = f'; {" and ".join(unused)} have no effect' if unused else ''
        print_log(f'CheckedDecordInit is now CheckedVideoInit{effect}', 'current', logging.WARNING)
