"""Opens a video with decord, refuses what decord reads wrongly, and can fall back to PyAV."""

import os.path as osp

import decord
import numpy as np
from mmaction.datasets.transforms import DecordInit
from mmaction.registry import TRANSFORMS
from mmengine.logging import print_log

from .truncation import missing_bytes

# decord 0.6.0 returns frames of other positions from these, and no error.
_MPEG_STREAMS = (b'\x00\x00\x01\xba', b'\x00\x00\x01\xb3')


class PyAVReader:
    """The part of ``decord.VideoReader`` that MMAction2 uses, on PyAV: slower, reads more.

    Takes the stream that FFmpeg calls the best, as decord does, and turns rotated clips upright.

    Args:
        filename: Path of the clip.
        short_side: As :class:`CheckedDecordInit`'s.

    Raises:
        ValueError: The file has no video stream.
    """

    def __init__(self, filename: str, short_side: int | None = None) -> None:
        import av

        self.filename = filename
        self.short_side = short_side
        with av.open(filename) as container:
            stream = container.streams.best('video')
            if stream is None:
                raise ValueError('no video stream')
            self._stream = stream.index
            self._fps = float(stream.average_rate or 0)
            # Containers such as webm do not say how many frames they hold.
            self._frames = stream.frames or sum(1 for p in container.demux(stream) if p.size)

    def __len__(self) -> int:
        return self._frames

    def get_avg_fps(self) -> float:
        """Frames a second; 0.0 where unknown."""
        return self._fps

    def get_batch(self, indices: np.ndarray) -> decord.nd.NDArray:
        """Frames (len(indices), H, W, 3), RGB, uint8.

        Raises:
            IndexError: The clip has fewer frames than its header says.
        """
        import av

        wanted, found = {int(i) for i in indices}, {}
        with av.open(self.filename) as container:
            for i, frame in enumerate(container.decode(container.streams[self._stream])):
                if i in wanted:
                    H, W = _reduced(frame.height, frame.width, self.short_side)
                    rgb = frame.to_ndarray(format='rgb24', height=H, width=W)
                    found[i] = np.rot90(rgb, round(getattr(frame, 'rotation', 0) / 90))
                    if len(found) == len(wanted):
                        break
        if len(found) < len(wanted):
            missing = min(wanted - set(found))
            raise IndexError(f'frame {missing} of {self._frames} cannot be decoded')
        return decord.nd.array(np.stack([found[int(i)] for i in indices]))


@TRANSFORMS.register_module()
class CheckedDecordInit(DecordInit):
    """:class:`mmaction.datasets.transforms.DecordInit` that knows what decord cannot read.

    Local files are opened by their path, not read into memory: upstream's private
    ``_get_video_reader`` is replaced. ``DecordDecode`` comes after it.

    Args:
        io_backend: As upstream's; PyAV reads from ``'disk'`` (default) only.
        num_threads: Threads of one decoder, 1 (default) or 2: with others decord fails on some VP9
            clips.
        fallback: What opens the clips that decord cannot, such as AV1: ``'pyav'``, or None
            (default): they fail. MPEG program and elementary streams (``.mpg``), of which decord
            returns wrong frames, count as such.
        short_side: Frames whose short side has more pixels are scaled down to so many by the
            decoder (bicubic), which costs less than a ``Resize`` of what was decoded. Default
            None: never, since transforms before the crop would see other pixels.

    Raises:
        ValueError: An argument is none of these, or a clip is empty, cut short, has no
            frames, or decord cannot open it and there is no fallback.
    """

    def __init__(
        self,
        io_backend: str = 'disk',
        num_threads: int = 1,
        fallback: str | None = None,
        short_side: int | None = None,
        **kwargs,
    ) -> None:
        if num_threads not in (1, 2):
            raise ValueError(
                'CheckedDecordInit: num_threads must be 1 or 2, since decord fails on some VP9 '
                f'clips with others, got {num_threads!r}'
            )
        if fallback not in (None, 'pyav'):
            raise ValueError(
                f"CheckedDecordInit: fallback must be 'pyav' or None, got {fallback!r}"
            )
        if fallback and io_backend != 'disk':
            raise ValueError(
                f"CheckedDecordInit: fallback needs io_backend='disk', got {io_backend!r}"
            )
        if short_side is not None and (not isinstance(short_side, int) or short_side < 2):
            raise ValueError(
                'CheckedDecordInit: short_side must be an integer of 2 or more or None, '
                f'got {short_side!r}'
            )
        if short_side and io_backend != 'disk':
            raise ValueError(
                f"CheckedDecordInit: short_side needs io_backend='disk', got {io_backend!r}"
            )
        super().__init__(io_backend=io_backend, num_threads=num_threads, **kwargs)
        self.fallback = fallback
        self.short_side = short_side
        self._said = False

    def _get_video_reader(self, filename: str) -> decord.VideoReader | PyAVReader:
        if self.io_backend != 'disk':
            return super()._get_video_reader(filename)
        with open(filename, 'rb') as file:
            start = file.read(4)
        if not start:
            raise ValueError('the file is empty')
        if lacking := missing_bytes(filename):
            raise ValueError(f'the file is cut short: {lacking} bytes or more are missing')
        try:
            if start in _MPEG_STREAMS:
                raise ValueError('decord returns wrong frames of MPEG program streams')
            return self._open(filename)
        except Exception as error:  # decord's own class is private
            if not self.fallback:
                hint = "fallback='pyav' may read it"
                raise ValueError(f'decord cannot open it ({hint}): {_cause(error)}') from error
            reader = PyAVReader(filename, self.short_side)
            if not self._said:
                self._said = True  # once a worker
                name = osp.basename(filename)
                print_log(f'{name}: read by PyAV, decord cannot: {_cause(error)}', 'current')
            return reader

    def _open(self, filename: str) -> decord.VideoReader:
        reader = decord.VideoReader(filename, num_threads=self.num_threads)
        if not self.short_side or not len(reader):
            return reader
        size = reader[0].shape[:2]
        reader.seek(0)
        if (reduced := _reduced(*size, self.short_side)) == size:
            return reader
        height, width = reduced
        return decord.VideoReader(
            filename, num_threads=self.num_threads, height=height, width=width
        )

    def transform(self, results: dict) -> dict:
        """Add ``video_reader``, ``total_frames`` and ``avg_fps``."""
        results = super().transform(results)
        if results['total_frames'] < 1:
            raise ValueError('the clip has no frames')
        return results


def _reduced(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """The size at which frames leave the decoder."""
    scale = short_side / min(height, width) if short_side else 1
    return (round(height * scale), round(width * scale)) if scale < 1 else (height, width)


def _cause(error: Exception) -> str:
    """decord's error without the stack trace and the position in its source."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.rsplit('Check failed: ', 1)[-1]
