"""Every frame the reader hands out is the one that decoding in order gives."""

import gc
import io
import os
import pickle
import re
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError
from av.stream import Disposition

from mmaction_emim.datasets import reader as reader_module
from mmaction_emim.datasets.reader import VideoReader, time_stamp_fault

from .numbered_clips import (
    FRAMES,
    HEVC,
    KINDS,
    decoded_in_order,
    picture,
    rewrite,
    shown,
    write,
    write_edited,
)

CODECS = Path(__file__).parents[3] / 'shared/data/codecs'
SAMPLES = (
    'av1_video.mkv demo.mp4 flipping_a_pancake.mkv h264_10bits.mp4 h265_video.mp4 test.avi '
    'two_vp8.webm two_vp9.webm unordered.mov video_90.mov'
).split()


def orders(length):
    """Indices as transforms ask for them, and as none does."""
    rng = np.random.default_rng(0)
    middle = length // 2
    return [
        np.arange(length),
        np.arange(length)[::-1],
        [length - 1],
        [-1, -length],
        np.linspace(0, length - 1, 8).round().astype(int),
        np.sort(rng.integers(0, length, 5)),
        rng.integers(0, length, 9),
        [middle, middle, 0, middle],
        *([i] for i in range(middle, length, max(1, length // 20))),
    ]


def check(path, truth, short_side=None):
    """``truth``: all frames in order, as they are stored."""
    reader = VideoReader(path, short_side)
    assert len(reader) == len(truth) > 0
    for wanted in orders(len(truth)):
        frames = reader.get_batch(wanted).asnumpy()
        assert frames.dtype == np.uint8 and type(frames) is np.ndarray
        for i, frame in zip(wanted, frames, strict=True):
            assert np.array_equal(frame, truth[i]), (i, list(wanted))


def check_lost(path, numbers):
    """Frames that are not the ones of their numbers are an error, as those after them are."""
    assert len(decoded_in_order(path)) < len(numbers) == len(VideoReader(path))
    errors = 0
    for wanted in [*orders(len(numbers)), *map(range, range(1, len(numbers)))]:
        try:
            frames = VideoReader(path).get_batch(wanted)
        except ValueError as error:
            assert re.search(r'frame \d+ of \d+ cannot be decoded: ', str(error))
            errors += 1
            continue
        assert [shown(frame) for frame in frames] == [numbers[i] for i in wanted]
    assert errors


def make(kind, folder):
    path = folder / f'clip{KINDS[kind].suffix}'
    try:
        KINDS[kind].make(path)
    except UnknownCodecError as error:
        pytest.skip(f'PyAV was built without the encoder: {error}')
    return path


@pytest.mark.parametrize('kind', KINDS)
def test_frames_are_those_of_their_numbers(tmp_path, kind):
    path, numbers = make(kind, tmp_path), KINDS[kind].numbers
    if KINDS[kind].loses_frames:
        check_lost(path, numbers)
        return
    truth = [KINDS[kind].upright(frame) for frame in decoded_in_order(path)]
    if numbers is not None:
        assert [shown(frame) for frame in truth] == list(numbers)
    check(path, truth)
    strict = VideoReader(path, strict=True)  # nothing is damaged
    assert np.array_equal(strict.get_batch(range(len(strict))), truth)


@pytest.mark.parametrize('name', SAMPLES)
def test_real_clips(name):
    path = CODECS / name
    if not path.exists():
        pytest.skip('shared/data/codecs is not beside the repository')
    truth = decoded_in_order(path)
    truth = [np.rot90(frame, -1) for frame in truth] if name == 'video_90.mov' else truth
    check(path, truth)
    assert np.array_equal(VideoReader(path, strict=True).get_batch(range(len(truth))), truth)


@pytest.mark.parametrize(
    'kind', ['H.264, mp4', 'HEVC, open GOP, mkv', 'VP8, webm', 'VP9, webm', 'AV1, mp4']
)
def test_decoding_starts_at_the_key_frame_before(tmp_path, monkeypatch, kind):
    """At most a group of 12 or, without, 20 frames are decoded: no falling back on counting."""
    decoded = []
    path, decode = make(kind, tmp_path), VideoReader._frames_from
    monkeypatch.delattr(VideoReader, '_count')
    monkeypatch.setattr(
        VideoReader,
        '_frames_from',
        lambda *args: (decoded.append(frame) or frame for frame in decode(*args)),
    )
    VideoReader(path).get_batch([3, 30, FRAMES - 1])
    assert 3 < len(decoded) < FRAMES - 3


@pytest.mark.parametrize('edits', [[(10, 0), (10, 20)], [(10, 0), (16, 24)], [(15, 3), (15, 22)]])
def test_edit_lists_of_two_parts(tmp_path, edits):
    """At the second part FFmpeg loses what needs frames before its key frame."""
    write_edited(tmp_path / 'a.mov', edits, **HEVC)
    check_lost(tmp_path / 'a.mov', [first + i for count, first in edits for i in range(count)])


def test_content_is_read_as_its_file(tmp_path):
    for kind in ('H.264, mp4', 'MPEG-2, ts'):
        path = make(kind, tmp_path)
        reader = VideoReader(path.read_bytes())
        assert np.array_equal(reader.get_batch([30, 2]), VideoReader(path).get_batch([30, 2]))


def test_rate(tmp_path):
    assert VideoReader(make('H.264, mp4', tmp_path)).get_avg_fps() == 25.0


@pytest.mark.parametrize('size, short_side, expected', [
    ((104, 64), 32, (32, 52)), ((64, 104), 32, (52, 32)), ((104, 64), 64, (64, 104)),
    ((104, 64), 200, (64, 104)),
])  # fmt: skip
def test_short_side_scales_down_and_never_up(tmp_path, size, short_side, expected):
    write(tmp_path / 'a.mp4', size=size)
    small = VideoReader(tmp_path / 'a.mp4', short_side).get_batch([9, 30]).asnumpy()
    whole = VideoReader(tmp_path / 'a.mp4').get_batch([9, 30]).asnumpy()
    assert small.shape == (2, *expected, 3)
    if small.shape == whole.shape:
        assert np.array_equal(small, whole)
    else:  # bicubic: close to the means of 2x2 pixels
        means = whole.reshape(2, expected[0], 2, expected[1], 2, 3).mean((2, 4))
        assert np.abs(small - means).mean() < 4


def test_short_side_of_a_rotated_clip(tmp_path):
    path = make('H.264, rotated by 90', tmp_path)  # 64x48 as it is shown
    assert VideoReader(path, 20).get_batch([3]).shape == (1, 20, 27, 3)  # of 26.7


@pytest.mark.parametrize('i', [FRAMES, -FRAMES - 1])
def test_there_is_no_other_frame(tmp_path, i):
    path = make('H.264, mp4', tmp_path)
    with pytest.raises(IndexError, match=rf'clip.mp4: no frame {i} in a clip of {FRAMES}'):
        VideoReader(path).get_batch([0, i])


def test_no_frames_are_none_that_can_be_had(tmp_path):
    with pytest.raises(ValueError, match=r'clip.mp4: no frames were asked for'):
        VideoReader(make('H.264, mp4', tmp_path)).get_batch([])


@pytest.mark.parametrize('content', [b'', b'\0' * 9, b'no video at all', bytes(range(256)) * 9])
def test_no_video_is_one_sentence(tmp_path, content):
    (tmp_path / 'a.mp4').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.mp4: cannot be read: \w') as raised:
        VideoReader(tmp_path / 'a.mp4')
    assert '\n' not in str(raised.value)


def test_missing_file_and_sound_alone(tmp_path):
    with pytest.raises(FileNotFoundError, match='a.mp4'):
        VideoReader(tmp_path / 'a.mp4')
    with wave.open(str(tmp_path / 'a.wav'), 'wb') as output:
        output.setparams((1, 2, 8000, 0, 'NONE', None))
        output.writeframes(bytes(16000))
    with pytest.raises(ValueError, match='a.wav: holds no video stream'):
        VideoReader(tmp_path / 'a.wav')


def test_a_picture_beside_sound_is_no_video(tmp_path):
    with av.open(str(tmp_path / 'a.mp4'), 'w') as output:
        sound = output.add_stream('aac', rate=44100)
        cover = output.add_stream('mjpeg', rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, 'yuvj420p'
        cover.disposition = Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(picture(0), format='rgb24')
        output.mux([*cover.encode(image), *cover.encode(None)])
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), 'fltp', 'stereo')
        samples.sample_rate = 44100
        output.mux([*sound.encode(samples), *sound.encode(None)])
    with pytest.raises(ValueError, match='a.mp4: holds no video, but a picture beside sound'):
        VideoReader(tmp_path / 'a.mp4')


@pytest.mark.parametrize('is_open', [True, False])
def test_pickled_readers_read_the_same_frames(tmp_path, is_open):
    reader = VideoReader(make('H.264, edit list', tmp_path))
    if not is_open:
        reader.get_batch([0])
    copy = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(copy.get_batch([19, 2]), reader.get_batch([19, 2]))


def test_threads_may_share_a_reader(tmp_path):
    path = make('H.264, mp4', tmp_path)
    reader = VideoReader(path)
    wanted = [[i, FRAMES - 1 - i] for i in range(FRAMES)]
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(reader.get_batch, wanted))
    assert [[shown(frame) for frame in batch] for batch in batches] == wanted


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_forked_process_does_not_move_where_its_parent_reads(tmp_path):
    """They share the place in an open file; what FFmpeg reads at once is smaller than this one."""
    path = tmp_path / 'a.mp4'
    write(path, size=(320, 240), params='qp=0:keyint=1', turn=_noisy)
    assert path.stat().st_size > 1e6
    reader = VideoReader(path)
    frames = reader._seek(range(FRAMES))
    first = next(frames)
    child = os.fork()
    if not child:
        reader.get_batch([30])
        os._exit(0)
    os.waitpid(child, 0)
    found = [frame.pts for _, frame in (first, *frames)]
    assert found == reader._stamps


def _noisy(image):
    noise = np.random.default_rng(0).integers(0, 99, image.shape, np.uint8)
    return image // 2 + noise


@pytest.mark.parametrize(
    'kind', ['H.264, mp4', 'H.264, open GOP, mkv', 'H.264, avi', 'MPEG-2, mpg']
)
def test_broken_clips_give_right_frames_or_an_error(tmp_path, kind):
    path = make(kind, tmp_path)
    whole, intact = path.read_bytes(), decoded_in_order(path)
    errors = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        at = int(rng.integers(len(data) // 8, len(data) - 20))
        data[at : at + 8] = rng.bytes(8)
        path.write_bytes(data)
        try:  # what FFmpeg itself takes for sound is as good as it gets
            in_order = decoded_in_order(path)
        except (av.FFmpegError, ValueError):
            in_order = []
        for wanted in ([0, 20, 35], [30]):
            try:
                frames = VideoReader(path).get_batch(wanted).asnumpy()
            except (ValueError, IndexError) as error:
                assert str(error).startswith(str(path))
                errors += 1
                continue
            for i, frame in zip(wanted, frames, strict=True):
                same = i < len(in_order) and np.array_equal(frame, in_order[i])
                assert same or np.array_equal(frame, intact[i])
    assert errors


def test_damaged_frames_are_errors_and_those_before_are_not(tmp_path):
    path = tmp_path / 'a.avi'
    write(path, 'mpeg4', size=(320, 240))
    intact = decoded_in_order(path)
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[15]
    data = bytearray(path.read_bytes())
    data[packet.pos + packet.size // 2 : packet.pos + packet.size] = bytes(packet.size // 2)
    path.write_bytes(data)
    assert np.array_equal(VideoReader(path).get_batch([14, 24]), [intact[14], intact[24]])
    for i in (15, 20):  # 20 is predicted from 15; at 24 comes a key frame
        with pytest.raises(ValueError, match=rf'frame {i} of 40 cannot be decoded: it or one'):
            VideoReader(path).get_batch([2, i])


def test_a_frame_that_the_decoder_does_not_give(tmp_path):
    def change(packet, i, group):
        if i < FRAMES - 1:
            return packet
        empty = av.Packet(b'\0\0\0\3\x46\1\x50')  # an access unit delimiter and no picture
        empty.pts, empty.dts, empty.time_base = packet.pts, packet.dts, packet.time_base
        return empty

    write(tmp_path / 'whole.mp4', **HEVC, params='bframes=0')
    rewrite(tmp_path / 'whole.mp4', tmp_path / 'a.mp4', change)
    reader = VideoReader(tmp_path / 'a.mp4')
    assert shown(reader.get_batch([FRAMES - 2])[0]) == FRAMES - 2
    with pytest.raises(ValueError, match='frame 39 of 40 cannot be decoded: the last one is 38'):
        reader.get_batch([FRAMES - 1])


def test_frames_of_other_sizes_are_an_error(tmp_path):
    parts = [io.BytesIO(), io.BytesIO()]
    for part, size in zip(parts, ((64, 48), (96, 48)), strict=True):
        write(tmp_path / 'part.h264', size=size, frames=6)
        part.write((tmp_path / 'part.h264').read_bytes())
    path = tmp_path / 'a.h264'
    path.write_bytes(b''.join(part.getvalue() for part in parts))
    reader = VideoReader(path)
    assert len(reader) == 12 and reader.get_batch([11]).shape == (1, 48, 96, 3)
    with pytest.raises(ValueError, match=r'differ in size \(H, W\): \[\(48, 64\), \(48, 96\)\]'):
        reader.get_batch([0, 11])


def test_names_that_look_like_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write('file:clip.mp4')  # FFmpeg takes a colon for a protocol
    Path('clip.mp4').rename('http:clip.mp4')
    assert shown(VideoReader('http:clip.mp4').get_batch([9])[0]) == 9


def test_metadata_in_another_encoding(tmp_path):
    path = make('H.264, mkv', tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'Lavf', b'L\xe9\xff!'))
    assert path.read_bytes() != data
    assert shown(VideoReader(path).get_batch([9])[0]) == 9


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


MEMORY = """
import gc, mmap, sys
from mmaction_emim.datasets.reader import VideoReader, time_stamp_fault

def megabytes():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE / 1e6

gc.disable()
for i in range(300):
    if i == 100:
        before = megabytes()
    reader = VideoReader(sys.argv[1])
    if i % 2:  # else it is opened and never read
        reader.get_batch([3, 20])
print(megabytes() - before)
"""


@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='Linux tells what is open')
@pytest.mark.parametrize('kind', ['H.264, mp4', 'H.264, ts'])
def test_a_file_is_open_until_its_first_batch(tmp_path, kind, no_collector):
    path = make(kind, tmp_path)
    reader = VideoReader(path)

    def is_open():
        return any(file.resolve() == path for file in Path('/proc/self/fd').iterdir())

    assert is_open()
    for wanted in ([3], [FRAMES - 1, 7]):
        assert [shown(frame) for frame in reader.get_batch(wanted)] == wanted
        assert not is_open()


def test_nothing_is_left_to_the_garbage_collector(tmp_path):
    """Containers and frames that are take megabytes each."""
    if not Path('/proc/self/statm').exists():
        pytest.skip('needs /proc')
    write(tmp_path / 'a.mp4', size=(320, 240), frames=30)
    command = [sys.executable, '-c', MEMORY, str(tmp_path / 'a.mp4')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert float(done.stdout) < 8, done.stderr


def test_needs_neither_mmaction_nor_decord(tmp_path):
    write(tmp_path / 'a.mp4')
    code = (
        'import sys, importlib.util as u\n'
        f'spec = u.spec_from_file_location("reader", {reader_module.__file__!r})\n'
        'reader = u.module_from_spec(spec)\n'
        'spec.loader.exec_module(reader)\n'
        f'print(reader.VideoReader({str(tmp_path / "a.mp4")!r}).get_batch([0, 39]).shape)\n'
        'print({"mmaction", "mmengine", "torch", "decord", "cv2"} & set(sys.modules))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split('\n')[:2] == ['(2, 48, 64, 3)', 'set()'], done.stderr


def test_a_picture_shows_its_number():
    assert [shown(picture(i, size)) for i in (0, 7, 199) for size in ((16, 64), (51, 37))] == [
        0, 0, 7, 7, 199, 199,
    ]  # fmt: skip


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
@pytest.mark.parametrize('moved, to', [(3, 25.5), (15, 5.5)])
def test_a_time_stamp_that_is_wrong_moves_no_other_frame(tmp_path, suffix, moved, to):
    """It goes over key frames, at 12 and 24: counted by it, those and more would be others."""

    def change(packet, i, group):
        stamp = 40 + (to if i == moved else i)  # muxers take none before the one to decode at
        packet.pts = int(stamp / (25 * packet.time_base))
        return packet

    write(tmp_path / f'whole{suffix}', params='bframes=0')
    path = tmp_path / f'a{suffix}'
    rewrite(tmp_path / f'whole{suffix}', path, change)
    reader = VideoReader(path)
    assert re.fullmatch(
        r'\d+ of 40 frames with a time stamp before those of an earlier group',
        reader.time_stamp_fault,
    )
    for i in range(FRAMES):
        assert shown(reader.get_batch([i])[0]) == i


@pytest.mark.parametrize(
    'stamps, fault',
    [
        ([(0, True), (3, False), (1, False), (2, False)], ''),
        ([(3, True), (1, False), (2, False), (6, True), (4, False), (5, False)], ''),  # open groups
        ([(0, True), (None, False)], '1 of 2 frames without a time stamp'),
        ([(0, True), (1, False), (1, True)], '1 of 3 frames with the time stamp of another'),
        (
            [(0, True), (5, False), (4, True), (3, False), (9, True)],
            '2 of 5 frames with a time stamp before those of an earlier group',
        ),
    ],
)
def test_faults_of_time_stamps(stamps, fault):
    assert time_stamp_fault(stamps) == fault


def test_strict_refuses_a_stream_of_which_a_packet_is_lost(tmp_path):
    path = make('MPEG-2, ts', tmp_path)
    data = path.read_bytes()
    starts = range(14 * 188, len(data), 188)
    lost = next(at for at in starts if data[at + 1 : at + 3] == b'\x41\x00')  # a frame's first
    path.write_bytes(data[:lost] + data[lost + 188 :])
    assert shown(VideoReader(path).get_batch([3])[0]) == 3
    with pytest.raises(ValueError, match=r'clip.ts: packet \d+ is damaged'):
        VideoReader(path, strict=True)


def test_a_stream_that_begins_late_is_one_sentence(tmp_path):
    """As a flipped bit makes in a transport stream; found by fuzzing."""
    path = make('MPEG-2, ts', tmp_path)
    data = bytearray(path.read_bytes())
    starts = range(0, len(data), 188)
    last = [at for at in starts if data[at + 1 : at + 3] == b'\x41\x00'][-1]
    data[last + 2] ^= 0x40  # another packet identifier
    path.write_bytes(data)
    with pytest.raises(ValueError, match='clip.ts: cannot be read: a stream begins in its midst'):
        VideoReader(path)
