"""Clips of many kinds of which every frame shows its own number, as blocks that survive coding."""

import io
import re
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition

BITS, BLOCK = 8, 8  # of a number; pixels a side
FRAMES = 40
TEN_BITS = 'yuv420p10le'
Turn = Callable[[np.ndarray], np.ndarray]
Change = Callable[[av.Packet, int, int], av.Packet | None]


def picture(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """An image (H, W, 3) that shows ``number``: a bit a block, from the top left, row by row."""
    W, H = size
    image = np.full((H, W, 3), 128, np.uint8)
    image[..., 0] = (2 * np.arange(W) + 3 * number) % 256
    for bit, (y, x) in enumerate(_places(H, W)):
        image[y : y + BLOCK, x : x + BLOCK] = 255 * (number >> bit & 1)
    return image


def shown(image: np.ndarray) -> int:
    """The number that an image shows."""
    inner = [image[y + 2 : y + 6, x + 2 : x + 6].mean() for y, x in _places(*image.shape[:2])]
    return sum(int(mean > 128) << bit for bit, mean in enumerate(inner))


def _places(height: int, width: int) -> list[tuple[int, int]]:
    rows, columns = height // BLOCK, width // BLOCK
    return [(BLOCK * (i // columns), BLOCK * (i % columns)) for i in range(rows * columns)][:BITS]


def write(
    path: Path | str,
    codec: str = 'libx264',
    frames: int = FRAMES,
    size: tuple[int, int] = (64, 48),
    pix_fmt: str = 'yuv420p',
    turn: Turn = np.asarray,
    stamps: Callable[[int], int] = lambda i: i,
    streams: int = 1,
    params: str = '',
    container: dict[str, str] | None = None,
    **options: str,
) -> None:
    """A clip with a key frame about every 12.

    The last of its streams is the default one; the second shows numbers 100 higher than the first.

    Args:
        turn: What is done to the pictures before they are encoded.
        stamps: Time stamp of frame i, in 1/25 s.
        params: Of x264 or x265.
    """
    options = {'g': '12', **options}
    if codec in ('libx264', 'libx265'):
        params = ':'.join(filter(None, ('keyint=12:scenecut=0', params)))
        options[f'{codec[3:]}-params'] = params + ':log-level=none' * (codec == 'libx265')
    with av.open(str(path), 'w', options=container or {}) as output:
        added = []
        for _ in range(streams):
            stream = output.add_stream(codec, rate=25)
            stream.height, stream.width = turn(picture(0, size)).shape[:2]
            stream.pix_fmt, stream.options, stream.bit_rate = pix_fmt, options, 300_000
            if streams > 1:
                last = len(added) == streams - 1
                stream.disposition = Disposition.default if last else Disposition(0)
            added.append(stream)
        for i in range(frames):
            for n, stream in enumerate(added):
                image = np.ascontiguousarray(turn(picture(i + 100 * n, size)))
                frame = av.VideoFrame.from_ndarray(image, format='rgb24')
                frame.pts, frame.time_base = stamps(i), Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream in added:
            output.mux(stream.encode(None))


def rewrite(source: Path | str, path: Path | str, change: Change) -> None:
    """Copy a clip without encoding it again.

    Args:
        change: Packet i of group of pictures g becomes ``change(packet, i, g)``; None: it goes.
    """
    with av.open(str(source)) as clip, av.open(str(path), 'w') as output:
        stream = clip.streams.video[0]
        template = output.add_stream_from_template(stream)
        group = -1
        for i, packet in enumerate(clip.demux(stream)):
            group += packet.is_keyframe
            if packet.size and (packet := change(packet, i, group)) is not None:
                packet.stream = template
                output.mux(packet)


def _written(**how) -> Callable[[Path], None]:
    return lambda path: write(path, **how)


def _rewritten(change: Callable, suffix: str = '.mp4', **how) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        whole = path.with_name(f'whole{suffix}')
        write(whole, **how)
        rewrite(whole, path, change)

    return make


def _later(packet: av.Packet, i: int, group: int) -> av.Packet | None:
    """What ``ffmpeg -ss 0.8 -c copy`` does: an edit list hides frames 12 to 19, as phones do."""
    shift = int(0.8 / packet.time_base)
    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
    return packet if group else None


def _thirds(packet: av.Packet, i: int, group: int) -> av.Packet:
    packet.pts = packet.dts = packet.pts // 120 * 120
    return packet


def _hide(packet: av.Packet, i: int, group: int) -> av.Packet:
    """Frames 7, 17 ... of VP8 lose the bit that says that they are shown."""
    if i % 10 != 7:
        return packet
    data = bytes(packet)
    hidden = av.Packet(bytes([data[0] & ~0x10]) + data[1:])
    hidden.pts, hidden.dts, hidden.time_base = packet.pts, packet.dts, packet.time_base
    return hidden


def _within_group(packet: av.Packet, i: int, group: int) -> av.Packet | None:
    return packet if i >= 9 else None


def _next_group(packet: av.Packet, i: int, group: int) -> av.Packet | None:
    return packet if group else None


def _all_keys(packet: av.Packet, i: int, group: int) -> av.Packet:
    packet.is_keyframe = True
    return packet


def _displayed(a: int, b: int, c: int, d: int, turn: Turn, **how) -> Callable[[Path], None]:
    """Pictures as ``turn`` makes them, and a display matrix that turns them back."""

    def make(path: Path) -> None:
        write(path, turn=turn, **how)
        data = bytearray(path.read_bytes())
        at = data.index(b'tkhd') + 44
        data[at : at + 36] = struct.pack(
            '>9i', *(v << 16 for v in (a, b, 0, c, d, 0, 0, 0, 1 << 14))
        )
        path.write_bytes(data)

    return make


def _fields(of_packet: int) -> Callable[[Path], None]:
    """H.264 of which a frame is two fields, so many of them a packet; no encoder here makes it."""

    def make(path: Path) -> None:
        raw, fields = path.with_suffix('.h264'), _coded_fields()
        raw.write_bytes(b''.join(fields))
        with av.open(str(raw)) as clip, av.open(str(path), 'w') as output:
            stream = output.add_stream_from_template(clip.streams.video[0])
            for i in range(0, len(fields), of_packet):
                packet = av.Packet(b''.join(fields[i : i + of_packet]))
                packet.pts = packet.dts = i
                packet.time_base, packet.duration = Fraction(1, 50), of_packet
                packet.is_keyframe = i % 16 == 0
                packet.stream = stream
                output.mux(packet)

    return make


def _coded_fields(size: tuple[int, int] = (32, 64)) -> list[bytes]:
    """Of every frame the upper and the lower field, of macroblocks that are not compressed."""
    parameters = _unit(0x67, 'u8 77 u8 0 u8 40 ue 0 ue 0 ue 0 ue 4 ue 1 u1 0 ue 1 ue 1 u5 4')
    parameters += _unit(0x68, 'ue 0 ue 0 u2 0 ue 0 ue 0 ue 0 u3 0 ue 0 ue 0 ue 0 u3 4')
    fields = []
    for i in range(FRAMES):
        group, at = divmod(i, 8)
        luma = picture(i, size).mean(2).clip(1, 254).astype(np.uint8)
        for lower in (0, 1):
            is_idr = at == lower == 0
            header = f'ue 0 ue 7 ue 0 u4 {at} u1 1 u1 {lower} '
            header += f'ue {group % 2} ' * is_idr + f'u8 {2 * at + lower} '
            header += ('u2 0 ' if is_idr else 'u1 0 ') + 'ue 0 ue 1'
            blocks = [
                luma[y + lower : y + 32 : 2, x : x + 16].tobytes() + bytes([128]) * 128
                for y in range(0, size[1], 32)
                for x in range(0, size[0], 16)
            ]
            slice_ = _unit(0x65 if is_idr else 0x41, header, blocks)
            fields.append(b'\0\0\0\1\x09\x10' + parameters * is_idr + slice_)
    return fields


def _unit(kind: int, fields: str, blocks: Sequence[bytes] = ()) -> bytes:
    """A unit of H.264 behind its start code: ``u2 3`` is 3 in two bits, ``ue 3`` in Exp-Golomb."""
    words, bits = fields.split(), ''
    for code, value in zip(words[::2], map(int, words[1::2]), strict=True):
        bits += f'{value:0{code[1:]}b}' if code[1:] != 'e' else _exp_golomb(value)
    for block in blocks:  # I_PCM: type 25, then the samples on whole bytes
        bits += _exp_golomb(25)
        bits += '0' * (-len(bits) % 8) + ''.join(f'{byte:08b}' for byte in block)
    bits += '1'
    bits += '0' * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, 'big')
    return b'\0\0\0\1' + bytes([kind]) + re.sub(rb'\0\0(?=[\0-\3])', b'\0\0\3', data)


def _exp_golomb(value: int) -> str:
    code = f'{value + 1:b}'
    return '0' * (len(code) - 1) + code


def write_phone_clip(path: Path, turn: Turn = np.asarray) -> None:
    """HEVC with open groups, rotated and with an edit list; ``turn`` is done to the pictures."""
    whole = path.with_name(f'whole_{path.name}')
    _displayed(0, 1, -1, 0, lambda image: np.rot90(turn(image)), **HEVC)(whole)
    rewrite(whole, path, _later)
    whole.unlink()


def write_edited(path: Path, edits: Sequence[tuple[int, int]], **how) -> None:
    """An mp4 or mov whose edit list shows, one after the other, ``edits``: (frames, first one)."""
    write(path, **how)
    data = bytearray(path.read_bytes())
    at = data.index(b'elst')
    duration, begin = struct.unpack('>Ii', data[at + 12 : at + 20])
    frame = 512  # ticks of PyAV's time base at 25 frames a second
    parts = [(duration * count // FRAMES, begin + frame * first) for count, first in edits]
    body = b''.join(struct.pack('>IiI', *part, 1 << 16) for part in parts)
    (old,) = struct.unpack('>I', data[at - 4 : at])
    box = struct.pack('>I4s4xI', 16 + len(body), b'elst', len(parts)) + body
    data[at - 4 : at - 4 + old] = box
    for name in (b'edts', b'trak', b'moov'):
        i = data.index(name)
        (size,) = struct.unpack('>I', data[i - 4 : i])
        data[i - 4 : i] = struct.pack('>I', size + len(box) - old)
    path.write_bytes(data)


def _two_parts(path: Path) -> None:
    write_edited(path, [(20, 0), (20, 12)], **HEVC)


class Kind(NamedTuple):
    """Clips of one kind.

    Attributes:
        suffix: Of their files.
        make: Writes one.
        numbers: What its frames show; None where that is up to the decoder.
        upright: What turns a frame as it is stored into one as it is shown.
        loses_frames: FFmpeg, decoding in order, gives fewer frames than the container shows.
    """

    suffix: str
    make: Callable[[Path], None]
    numbers: Sequence[int] | None = range(FRAMES)
    upright: Turn = np.asarray
    loses_frames: bool = False


X264, X265, VP8, VP9, AV1 = 'libx264', 'libx265', 'libvpx', 'libvpx-vp9', 'libsvtav1'
OPEN = 'open-gop=1:bframes=3:b-adapt=0'
REFRESH = dict(params='intra-refresh=1:keyint=20:bframes=0', size=(96, 64), frames=100)
FRAGMENTS = dict(movflags='frag_keyframe+empty_moov')
ALT_REF = {'auto-alt-ref': '1', 'lag-in-frames': '16', 'arnr-maxframes': '5', 'cpu-used': '5'}
HEVC = dict(codec=X265, size=(128, 96))  # of some smaller ones x265 breaks the heap
SVT = dict(codec=AV1, size=(128, 96), preset='12')


def _gaps(i: int) -> int:
    return i + i // 3 * 5


KINDS = {
    'H.264, mp4': Kind('.mp4', _written()),
    'H.264, mov': Kind('.mov', _written()),
    'H.264, mkv': Kind('.mkv', _written()),
    'H.264, no B-frames': Kind('.mp4', _written(params='bframes=0')),
    'H.264, 16 B-frames': Kind('.mp4', _written(params='bframes=16:b-adapt=0')),
    'H.264, open GOP, mp4': Kind('.mp4', _written(params=OPEN)),
    'H.264, open GOP, mkv': Kind('.mkv', _written(params=OPEN)),
    'H.264, intra refresh, mp4': Kind('.mp4', _written(**REFRESH), range(100)),
    'H.264, intra refresh, mkv': Kind('.mkv', _written(**REFRESH), range(100)),
    'H.264, fragmented mp4': Kind('.mp4', _written(container=FRAGMENTS)),
    'H.264, 10 bits': Kind('.mp4', _written(pix_fmt=TEN_BITS)),
    'H.264, grey': Kind('.mp4', _written(pix_fmt='gray')),
    'H.264, variable rate': Kind('.mp4', _written(stamps=_gaps)),
    'H.264, one frame': Kind('.mp4', _written(frames=1), [0]),
    'H.264, two streams': Kind('.mkv', _written(streams=2), range(100, 100 + FRAMES)),
    'H.264, avi': Kind('.avi', _written()),
    'H.264, ts': Kind('.ts', _written()),
    'H.264, flv': Kind('.flv', _written()),
    'H.264, no container': Kind('.h264', _written()),
    'H.264, fields, ts': Kind('.ts', _fields(2)),
    'H.264, fields, mp4': Kind('.mp4', _fields(2)),
    'H.264, a packet a field, mkv': Kind('.mkv', _fields(1)),
    'H.264, edit list': Kind('.mp4', _rewritten(_later), range(20, FRAMES)),
    'H.264, begins within a GOP': Kind('.mkv', _rewritten(_within_group), range(12, FRAMES)),
    'H.264, begins within a refresh': Kind('.mkv', _rewritten(_next_group, **REFRESH), None),
    'H.264, rotated by 90': Kind(
        '.mp4', _displayed(0, 1, -1, 0, np.rot90), upright=lambda x: np.rot90(x, -1)
    ),
    'H.264, rotated by 180': Kind(
        '.mp4', _displayed(-1, 0, 0, -1, lambda x: x[::-1, ::-1]), upright=lambda x: x[::-1, ::-1]
    ),
    'H.264, rotated by 270': Kind(
        '.mp4', _displayed(0, -1, 1, 0, lambda x: np.rot90(x, -1)), upright=np.rot90
    ),
    'H.264, mirrored': Kind(
        '.mp4', _displayed(-1, 0, 0, 1, lambda x: x[:, ::-1]), upright=lambda x: x[:, ::-1]
    ),
    **{
        f'H.264, {width} wide': Kind('.mp4', _written(size=(width, 64)))
        for width in (16, 24, 32, 48, 72, 96, 144)
    },
    'HEVC, mp4': Kind('.mp4', _written(**HEVC, params='open-gop=0')),
    'HEVC, open GOP, mp4': Kind('.mp4', _written(**HEVC)),
    'HEVC, open GOP, mkv': Kind('.mkv', _written(**HEVC)),
    'HEVC, open GOP, ts': Kind('.ts', _written(**HEVC)),
    'HEVC, 10 bits': Kind('.mp4', _written(**HEVC, params='open-gop=0', pix_fmt=TEN_BITS)),
    'HEVC, begins at an open GOP': Kind(
        '.mkv', _rewritten(_next_group, '.mkv', **HEVC), range(12, FRAMES)
    ),
    'HEVC, open GOP, edit list, rotated, mov': Kind(
        '.mov', write_phone_clip, range(20, FRAMES), lambda x: np.rot90(x, -1)
    ),
    'HEVC, open GOP, edit list of two parts': Kind(
        '.mp4', _two_parts, [*range(20), *range(12, 32)], loses_frames=True
    ),
    'VP8, webm': Kind('.webm', _written(codec=VP8, **ALT_REF)),
    'VP8, some frames not shown': Kind(
        '.webm',
        _rewritten(_hide, '.webm', codec=VP8),
        [i for i in range(FRAMES) if i % 10 != 7],
    ),
    'VP9, webm': Kind('.webm', _written(codec=VP9, **ALT_REF)),
    'VP9, mp4': Kind('.mp4', _written(codec=VP9, **ALT_REF)),
    'VP9, odd size': Kind('.webm', _written(codec=VP9, size=(51, 37))),
    'VP9, equal time stamps': Kind('.webm', _rewritten(_thirds, '.webm', codec=VP9)),
    'AV1, mkv': Kind('.mkv', _written(**SVT)),
    'AV1, mp4': Kind('.mp4', _written(**SVT)),
    'MPEG-4, avi': Kind('.avi', _written(codec='mpeg4')),
    'MPEG-4, variable rate, avi': Kind('.avi', _written(codec='mpeg4', stamps=_gaps)),
    'MPEG-4, B-frames, avi': Kind('.avi', _written(codec='mpeg4', bf='2')),
    'MPEG-4, B-frames, mp4': Kind('.mp4', _written(codec='mpeg4', bf='2')),
    'MPEG-4, B-frames, mkv': Kind('.mkv', _written(codec='mpeg4', bf='2')),
    'MPEG-4, every frame called a key frame': Kind('.mp4', _rewritten(_all_keys, codec='mpeg4')),
    'MPEG-2, mpg': Kind('.mpg', _written(codec='mpeg2video', bf='2')),
    'MPEG-2, ts': Kind('.ts', _written(codec='mpeg2video', bf='2')),
    'MPEG-2, begins within a GOP': Kind(
        '.ts', _rewritten(_within_group, '.ts', codec='mpeg2video', bf='2'), range(12, FRAMES)
    ),
    'MJPEG, avi': Kind('.avi', _written(codec='mjpeg', pix_fmt='yuvj420p')),
    'GIF': Kind('.gif', _written(codec='gif', pix_fmt='rgb8')),
}


def decoded_in_order(source: Path | bytes) -> list[np.ndarray]:
    """All frames (H, W, 3) as FFmpeg gives them one after the other: not turned."""
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    with av.open(file) as container:
        stream = container.streams.best('video')
        if stream is None or stream.codec_context is None:
            raise ValueError('no video')
        stream.codec_context.thread_count = 1
        frames = container.decode(stream)
        return [frame.to_ndarray(format='rgb24', interpolation='BICUBIC') for frame in frames]
