"""Hands out frames of a video by their number: the very frames that decoding in order gives.

FFmpeg through PyAV; needs nothing but that and NumPy. Where a container tells the time stamp of
every frame, the decoder starts at the last key frame before a wanted one, or else at the first,
and each frame it gives must have the time stamp that is due. Everything else is decoded from the
start and counted.
"""

import io
import math
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, dropwhile
from threading import Lock

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

# What can be sought in: a time stamp for every packet, and a frame in every packet.
CONTAINERS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')
CODECS = ('h264', 'hevc', 'vp8', 'vp9', 'av1')
# Of H.264, whose sequence parameter sets say more.
HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
# By which clips are found in a folder, in any letter case.
VIDEO_SUFFIXES = frozenset(
    '.3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .hevc .m2ts .m2v .m4v .mjpeg .mjpg .mkv '
    '.mod .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogg .ogv .qt .rm .rmvb .tod .ts .vob .webm .wmv '
    '.y4m'.split()
)


class Frames(np.ndarray):
    """An array that is turned into a plain one as decord's are."""

    def asnumpy(self) -> np.ndarray:
        return self.view(np.ndarray)


class _LostTrackError(Exception):
    """The decoder gave another frame than the one that was due."""


class VideoReader:
    """Frames of a video by their number, as ``decord.VideoReader`` gives them, or an error.

    Reads the video stream that FFmpeg calls the best, with one thread. Rotated and mirrored clips
    are turned upright. Frames that an edit list hides are none.

    Args:
        source: Path of a file, or its content.
        short_side: Frames whose short side has more pixels are scaled down to so many, bicubic,
            in the conversion to RGB. Default None: never.
        name: What errors call the clip. Default None: its path, or the number of its bytes.
        strict: Whatever FFmpeg notices of damage is an error: packets that the container calls
            corrupt, and what a decoder would conceal. Default False: only frames that it calls
            corrupt are, and those predicted from them.

    Attributes:
        time_stamp_fault: What is wrong with the frames' time stamps, in words; ``''`` if nothing,
            and in containers that have none of their own. Such clips are read in order and counted.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file holds no video, or a damaged one.
    """

    time_stamp_fault = ''
    _container = _stream = None

    def __init__(
        self,
        source: str | os.PathLike | bytes,
        short_side: int | None = None,
        name: str | None = None,
        strict: bool = False,
    ) -> None:
        self.name = name or name_of(source)
        # As an absolute path, since FFmpeg takes what is before a colon for a protocol.
        self.source = source if isinstance(source, bytes) else os.path.abspath(source)
        self.short_side = short_side
        self.strict = strict
        self._lock = Lock()
        try:
            self._open()
            self._fps = float(self._stream.average_rate or 0)
            self._read_time_stamps()
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise ValueError(f'{self.name}: cannot be read: {error.strerror}') from error
        except IndexError as error:  # PyAV looks for a stream that it does not know
            raise ValueError(
                f'{self.name}: cannot be read: a stream begins in its midst'
            ) from error

    def __len__(self) -> int:
        return self._length

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple:
        """A copy, also one in another process, opens the file itself."""
        return type(self), (self.source, self.short_side, self.name, self.strict)

    def get_avg_fps(self) -> float:
        """Frames a second; 0.0 where unknown."""
        return self._fps

    def get_batch(self, indices: Iterable[int]) -> Frames:
        """Frames (len(indices), H, W, 3), RGB, uint8, in the order asked for.

        Args:
            indices: In any order, repeated or not; negative ones count from the end.

        Raises:
            IndexError: The clip has no such frame.
            ValueError: None is asked for, one cannot be decoded, or they differ in size.
        """
        indices = [int(i) for i in indices]
        if not indices:
            raise ValueError(f'{self.name}: no frames were asked for')
        for i in indices:
            if not -self._length <= i < self._length:
                raise IndexError(f'{self.name}: no frame {i} in a clip of {self._length}')
        indices = [i % self._length for i in indices]
        with self._lock:  # of two threads in one decoder the process dies
            try:
                found = self._decode(sorted(set(indices)))
            finally:
                self.close()
        if len(sizes := sorted({frame.shape[:2] for frame in found.values()})) > 1:
            raise ValueError(f'{self.name}: frames differ in size (H, W): {sizes}')
        return np.stack([found[i] for i in indices]).view(Frames)

    def close(self) -> None:
        """Give the file back; the next batch opens it again."""
        # The garbage collector is late: a container and its streams refer to each other.
        if self._container is not None:
            self._container.close()
            self._container = self._stream = None

    def _open(self) -> None:
        file = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source
        options = {'err_detect': 'crccheck+bitstream+buffer+explode'} if self.strict else {}
        self._process = os.getpid()
        self._container = av.open(file, options=options, metadata_errors='ignore')
        self._stream = self._container.streams.best('video')
        if self._stream is None or self._stream.codec_context is None:
            raise ValueError(f'{self.name}: holds no video stream that FFmpeg can decode')
        if self._stream.disposition & Disposition.attached_pic:
            raise ValueError(f'{self.name}: holds no video, but a picture beside sound')
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.options = options

    def _read_time_stamps(self) -> None:
        """Find how many frames there are and, where they can be sought, when each is shown."""
        codec = self._stream.codec_context.codec.canonical_name
        packets = self._container.demux(self._stream)
        first = next(packets)
        frames = []
        for packet in chain([first], packets):
            if self.strict and packet.is_corrupt:
                raise ValueError(f'{self.name}: packet {len(frames)} is damaged')
            # VP8 has packets of references that are not shown, and a bit that tells them.
            shown = codec != 'vp8' or (packet.size and memoryview(packet)[0] & 0x10)
            if packet.size and not packet.is_discard and shown:
                frames.append((packet.pts, packet.is_keyframe))
        of_fields = codec == 'h264' and _allows_fields(_sps(first, self._stream.codec_context))
        if of_fields or self._is_cut(first, [pts for pts, _ in frames]):
            keys = {pts for pts, is_key in frames if is_key}
            frames = [(frame.pts, frame.pts in keys) for frame in self._all_frames()]
        self._length = len(frames)
        self._stamps, self._keys = [], []
        if self._container.format.name in CONTAINERS:
            self.time_stamp_fault = time_stamp_fault(frames)
            if codec in CODECS and not self.time_stamp_fault:
                frames.sort()
                self._stamps = [pts for pts, _ in frames]
                self._keys = [i for i, (_, is_key) in enumerate(frames) if is_key]

    def _is_cut(self, first: av.Packet, stamps: list[int | None]) -> bool:
        """Whether the file begins within a group of pictures, of which not all can be decoded."""
        start = first.pts
        earlier = start is not None and any(p is not None and p < start for p in stamps)
        if earlier or not first.is_keyframe:
            return True
        context = self._stream.codec_context
        if context.codec.canonical_name != 'h264' or _holds_idr(first, context.extradata):
            return False
        # H.264 calls a frame a key frame also where several must be decoded until one is whole.
        return not decodes_alone(context, first)

    def _all_frames(self) -> Iterator[av.VideoFrame]:
        self.close()
        self._open()
        return self._container.decode(self._stream)

    def _decode(self, wanted: list[int]) -> dict[int, np.ndarray]:
        """The frames of sorted numbers, by their number."""
        reformatter = VideoReformatter()

        def images(frames: Iterator[tuple[int, av.VideoFrame]]) -> dict[int, np.ndarray]:
            return {i: to_rgb(frame, reformatter, self.short_side) for i, frame in frames}

        if self._stamps:
            try:
                return images(self._seek(wanted))
            except (_LostTrackError, av.FFmpegError):
                pass  # counting finds the frame, or why there is none
        return images(self._count(wanted))

    def _seek(self, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        # A forked process shares the place in the file at which its parent reads.
        if self._container is None or self._process != os.getpid():
            self.close()
            self._open()
        due = None  # number of the frame that the decoder gives next
        for i in wanted:
            nearest = bisect_right(self._keys, i) - 1
            if nearest < 0:
                raise _LostTrackError
            key = self._keys[nearest]
            if due is None or key > due:
                frames, due = self._frames_from(self._stamps[key]), key
            while due <= i:
                frame = next(frames, None)
                if frame is None or frame.pts != self._stamps[due] or frame.is_corrupt:
                    raise _LostTrackError
                due += 1
            yield i, frame

    def _frames_from(self, pts: int) -> Iterator[av.VideoFrame]:
        self._container.seek(pts, stream=self._stream)
        frames = self._container.decode(self._stream)
        return dropwhile(lambda frame: frame.pts is not None and frame.pts < pts, frames)

    def _count(self, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        frames, count, damaged = self._all_frames(), 0, False
        for i in wanted:
            undecodable = f'{self.name}: frame {i} of {self._length} cannot be decoded: '
            while count <= i:
                try:
                    frame = next(frames)
                except StopIteration:
                    raise ValueError(f'{undecodable}the last one is {count - 1}') from None
                except av.FFmpegError as error:
                    raise ValueError(f'{undecodable}{error.strerror}') from error
                if self._stamps and frame.pts != self._stamps[count]:
                    raise ValueError(
                        f'{undecodable}in the place of frame {count} comes another one'
                    )
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                count += 1
            if damaged:
                raise ValueError(f'{undecodable}it or one that it was predicted from is damaged')
            yield i, frame


def to_rgb(
    frame: av.VideoFrame, reformatter: VideoReformatter, short_side: int | None = None
) -> np.ndarray:
    """A decoded frame as (H, W, 3), RGB, uint8, upright.

    Args:
        frame: What the decoder gave.
        reformatter: Converts all frames of a clip.
        short_side: As :class:`VideoReader`'s.
    """
    H, W = scaled_size(frame.height, frame.width, short_side)
    rgb = reformatter.reformat(frame, W, H, 'rgb24', interpolation='BICUBIC', threads=1)
    # Not frame.side_data: it keeps the frame until the garbage collector comes.
    matrix = SideDataContainer(frame).get('DISPLAYMATRIX')
    rgb = rgb.to_ndarray()
    return rgb if matrix is None else _upright(rgb, np.frombuffer(matrix, np.int32))


def name_of(source: str | os.PathLike | bytes) -> str:
    """What errors call a clip: its path, or how many bytes it has."""
    return f'{len(source)} bytes' if isinstance(source, bytes) else os.fspath(source)


def time_stamp_fault(frames: list[tuple[int | None, bool]]) -> str:
    """What is wrong with time stamps, in words; ``''`` if nothing.

    Args:
        frames: (time stamp, is a key frame) in the order in which they are stored.
    """
    stamps, of = [pts for pts, _ in frames], f'of {len(frames)} frames'
    if missing := stamps.count(None):
        return f'{missing} {of} without a time stamp'
    if equal := len(stamps) - len(set(stamps)):
        return f'{equal} {of} with the time stamp of another'
    # A frame may be shown before the key frame that it follows, not before what that one follows.
    backwards, latest, before = 0, -math.inf, -math.inf
    for pts, is_key in frames:
        if is_key:
            before = latest
        if pts > latest:
            latest = pts
        elif pts < before:
            backwards += 1
    return f'{backwards} {of} with a time stamp before those of an earlier group' * bool(backwards)


def decodes_alone(codec: av.CodecContext, packet: av.Packet) -> bool:
    """Whether the decoder gives a picture for a packet when it knows no other."""
    frames = codec.decode(av.Packet(bytes(packet))) + codec.decode(None)
    codec.flush_buffers()
    return bool(frames)


def _sps(packet: av.Packet, codec: av.CodecContext) -> bytes:
    """The first sequence parameter set of H.264 (NAL unit type 7), to its end or beyond."""
    extradata = codec.extradata or b''
    if extradata[:1] == b'\1' and len(extradata) > 8:
        return extradata[8:]
    match = re.search(rb'\x00\x00\x01[\x07\x27\x47\x67].*', extradata + bytes(packet), re.DOTALL)
    return match[0][3:] if match else b''


def _allows_fields(sps: bytes) -> bool:
    """Whether frames of H.264 may be coded as two fields, of which each may be a packet.

    It is what ``frame_mbs_only_flag`` of 0 says, section 7.3.2.1.1 of the standard.
    """
    sps = sps[:1000].replace(b'\0\0\3', b'\0\0')
    bits = iter(''.join(f'{byte:08b}' for byte in sps))

    def u(count: int) -> int:
        return int('0' + ''.join(next(bits, '1') for _ in range(count)), 2)

    def ue() -> int:
        zeros = 0
        while not u(1):
            zeros += 1
        return (1 << zeros) - 1 + u(zeros)

    u(8)
    profile = u(8)
    u(16)
    ue()
    if profile in HIGH_PROFILES:
        is_444 = ue() == 3
        u(is_444)
        ue(), ue(), u(1)
        for i in range((12 if is_444 else 8) * u(1)):  # scaling lists
            size, scale, last = (16 if i < 6 else 64) * u(1), 8, 8
            for _ in range(size):
                if scale:
                    code = ue()
                    scale = (last + (code + 1 >> 1) * (1 if code & 1 else -1)) % 256
                last = scale or last
    ue()
    order = ue()
    if order == 0:
        ue()
    elif order == 1:
        u(1), ue(), ue()
        for _ in range(min(ue(), 255)):
            ue()
    ue(), u(1), ue(), ue()
    return not u(1)


def _holds_idr(packet: av.Packet, extradata: bytes | None) -> bool:
    """Whether a packet of H.264 is known to have an IDR slice, where decoding can begin."""
    if not extradata or extradata[0] != 1:
        return False  # start codes stand between the units: it is for the decoder to say
    data = bytes(packet)
    at, size = 0, (extradata[4] & 3) + 1  # lengths of so many bytes stand before them
    while at + size < len(data):
        if data[at + size] & 31 == 5:  # type of the unit
            return True
        at += size + int.from_bytes(data[at : at + size], 'big')
    return False


def scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width at which frames are handed out."""
    scale = short_side / min(height, width) if short_side else 1
    return (round(height * scale), round(width * scale)) if scale < 1 else (height, width)


def _upright(rgb: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Turn and mirror by the nearest right angle; ``matrix`` holds rows (x, y) -> (x', y')."""
    (a, b), (c, d) = matrix[:2], matrix[3:5]
    if abs(a) < abs(b):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
