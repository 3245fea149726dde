"""Frames of a long video, a camera or a stream, in the order in which they come, each decoded once.

FFmpeg through PyAV opens files and addresses, OpenCV the computer's own cameras.
"""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from .reader import to_rgb
from .transforms.truncation import missing_bytes

RECONNECTS = 5  # in a row
TIMEOUT = 10.0  # seconds without a byte


class Frame(NamedTuple):
    """One frame of a source.

    Attributes:
        index: 0, 1, …
        seconds: Since the first frame, by the source's time stamps.
        image: (H, W, 3), RGB, uint8, upright.
        is_first: Whether the source was just opened: what was before is not its neighbour.
    """

    index: int
    seconds: float
    image: np.ndarray
    is_first: bool


class StreamSource:
    """Hands out each :class:`Frame` of a file, a camera or a stream.

    A source is live when it is a camera, or an address that does not say how long it lasts. A live
    source that breaks off is opened again, after 1, 2, 4, … seconds; a packet that cannot be
    decoded is counted and left out.

    Args:
        address: Path of a file; number of a camera, as int or text; or what FFmpeg takes:
            ``rtsp://``, ``http://``, ``rtmp://``, ``udp://``, ``tcp://``…
        short_side: As :class:`~mmaction_emim.datasets.reader.VideoReader`'s.
        reconnects: How often in a row a live source is opened again. Defaults to 5.
        timeout: Seconds without data after which an address counts as broken off. Defaults to 10.

    Attributes:
        is_live: Whether it goes on while nobody reads it.
        fps: Frames a second; 25.0 where the source does not say.
        reconnected: How often it was opened again.
        broken: Packets that could not be decoded.

    Raises:
        OSError: The source cannot be opened.
        ValueError: It is a file that is empty, cut short, no video or without a video stream.
    """

    def __init__(
        self,
        address: str | os.PathLike | int,
        short_side: int | None = None,
        reconnects: int = RECONNECTS,
        timeout: float = TIMEOUT,
    ) -> None:
        self.address = os.fspath(address) if isinstance(address, os.PathLike) else str(address)
        self.short_side = short_side
        self.reconnects = reconnects
        self.timeout = timeout
        self.reconnected = self.broken = 0
        self.is_camera = self.address.isdigit()
        self._is_address = '://' in self.address
        self._opened = self._open()
        self.is_live = self.is_camera or (self._is_address and self._opened.seconds is None)
        self.fps = self._opened.fps

    def _open(self) -> '_Camera | _Video':
        if self.is_camera:
            return _Camera(int(self.address))
        if not self._is_address:
            if not os.path.getsize(self.address):
                raise ValueError(f'{self.address}: the file is empty')
            if lacking := missing_bytes(self.address):
                raise ValueError(f'{self.address}: cut short, {lacking} bytes or more are missing')
        return _Video(self.address, self.short_side, self.timeout if self._is_address else None)

    def __iter__(self) -> Iterator[Frame]:
        """The frames; ends with a file, or when a live source stays away.

        Raises:
            OSError: A live source could not be opened again.
        """
        index, failures, started = 0, 0, time.monotonic()
        at = offset = 0.0
        while True:
            is_first = True
            try:
                for seconds, image in self._opened:
                    if is_first and index:
                        offset = max(time.monotonic() - started, at + 1 / self.fps)
                    at = offset + seconds
                    yield Frame(index, at, image, is_first)
                    index, is_first, failures = index + 1, False, 0
            except av.FFmpegError:
                if not self.is_live:
                    raise
            finally:
                self.broken += self._opened.broken
                self._opened.close()
            if not self.is_live:
                return
            failures = self._reopen(failures)

    def _reopen(self, failures: int) -> int:
        while True:
            if failures >= self.reconnects:
                raise OSError(
                    f'{self.address}: broke off and could not be opened again in '
                    f'{self.reconnects} tries'
                )
            time.sleep(2**failures)
            failures += 1
            try:
                self._opened = self._open()
            except (OSError, ValueError):
                continue
            self.reconnected += 1
            return failures


class _Video:
    """What FFmpeg opened: iterates over (seconds, image)."""

    def __init__(self, address: str, short_side: int | None, timeout: float | None) -> None:
        self.name, self.short_side, self.broken = address, short_side, 0
        # A path is made absolute, since FFmpeg takes what is before a colon for a protocol.
        source = address if timeout else os.path.abspath(address)
        options = {'rtsp_transport': 'tcp'} if address.startswith('rtsp') else {}
        try:
            self._container = av.open(
                source, options=options, timeout=timeout, metadata_errors='ignore'
            )
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise ValueError(f'{address}: cannot be read: {error.strerror}') from error
        self._stream = self._container.streams.best('video')
        if self._stream is None or self._stream.codec_context is None:
            self.close()
            raise ValueError(f'{address}: holds no video stream that FFmpeg can decode')
        self._stream.codec_context.thread_count = 1
        self.fps = float(self._stream.average_rate or 25)
        length = self._container.duration
        self.seconds = None if length is None else length / av.time_base

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        reformatter, first, count = VideoReformatter(), None, 0
        for frame in self._frames():
            seconds = count / self.fps if frame.time is None else frame.time
            first = seconds if first is None else first
            yield seconds - first, to_rgb(frame, reformatter, self.short_side)
            count += 1

    def _frames(self) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                yield from self._decoded(packet)
        except av.FFmpegError:  # broken off: what the decoder holds back is whole
            yield from self._decoded(None)
            raise

    def _decoded(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        try:
            yield from self._stream.codec_context.decode(packet)
        except av.error.InvalidDataError:
            self.broken += 1

    def close(self) -> None:
        self._container.close()


class _Camera:
    """A camera of this computer: iterates over (seconds, image)."""

    seconds, broken = None, 0

    def __init__(self, number: int) -> None:
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise OSError(f'camera {number}: cannot be opened')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        start = time.monotonic()
        while (read := self._capture.read())[0]:
            yield time.monotonic() - start, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        self._capture.release()
