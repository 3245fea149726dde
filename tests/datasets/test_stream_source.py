"""Frames of files and of live streams, in order, each once."""

import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.stream_source import StreamSource

from ..ports import free_port
from .live_servers import http, motion_jpeg, raw, rtsp, serving
from .numbered_clips import FRAMES, KINDS, picture, shown, write

SOME = (
    'H.264, mp4',
    'H.264, edit list',
    'H.264, variable rate',
    'HEVC, open GOP, edit list, rotated, mov',
    'VP9, webm',
    'GIF',
    'H.264, one frame',
)


@pytest.mark.parametrize('kind', SOME)
def test_frames_of_a_file_are_the_readers(kind, tmp_path):
    path = tmp_path / f'clip{KINDS[kind].suffix}'
    KINDS[kind].make(path)
    source = StreamSource(path)
    frames = list(source)
    expected = VideoReader(path)
    expected = expected.get_batch(range(len(expected)))
    assert np.array_equal([frame.image for frame in frames], expected)
    assert [frame.index for frame in frames] == list(range(len(expected)))
    assert [frame.is_first for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert not source.is_live and source.broken == 0


def test_seconds_are_the_time_stamps(tmp_path):
    write(tmp_path / 'clip.mp4', stamps=lambda i: 5 * i)
    seconds = [frame.seconds for frame in StreamSource(tmp_path / 'clip.mp4')]
    assert seconds == pytest.approx([i / 5 for i in range(FRAMES)])


def sound_only(path: Path) -> None:
    with wave.open(str(path), 'wb') as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda path: path.write_text('no video\n' * 99), 'cannot be read: Invalid data'),
        (lambda path: path.write_bytes(b''), 'the file is empty'),
        (sound_only, 'holds no video stream'),
    ],
    ids=['text', 'empty', 'sound'],
)
def test_refuses_what_is_no_video(make, message, tmp_path):
    path = tmp_path / 'clip.mp4'
    make(path)
    with pytest.raises(ValueError, match=f'clip.mp4: .*{message}'):
        StreamSource(path)


def test_refuses_a_clip_that_is_cut_short(tmp_path):
    path = tmp_path / 'clip.mp4'
    write(path, container=dict(movflags='faststart'))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match='cut short'):
        StreamSource(path)


def test_counts_packets_that_cannot_be_decoded(tmp_path):
    path = tmp_path / 'clip.avi'
    write(path, codec='mjpeg', pix_fmt='yuvj420p')
    with av.open(str(path)) as clip:
        packet = [packet for packet in clip.demux(video=0) if packet.size][20]
    data = bytearray(path.read_bytes())
    inside = slice(packet.pos + 8, packet.pos + packet.size)
    data[inside] = bytes(packet.size - 8)
    path.write_bytes(data)
    source = StreamSource(path)
    assert len(list(source)) == FRAMES - source.broken
    assert source.broken == 1


def test_missing(tmp_path):
    with pytest.raises(OSError, match='nothing.mp4'):
        StreamSource(tmp_path / 'nothing.mp4')
    with pytest.raises(OSError, match='camera 99: cannot be opened'):
        StreamSource(99)


@pytest.mark.parametrize(
    'scheme, answer', [('tcp', raw), ('http', http), ('rtsp', rtsp)], ids=['tcp', 'http', 'rtsp']
)
def test_a_live_stream_that_breaks_off_is_opened_again(scheme, answer, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(time, 'sleep', waits.append)
    write(tmp_path / 'clip.ts', params='bframes=0')
    data = (tmp_path / 'clip.ts').read_bytes()
    whole = FRAMES - (scheme == 'rtsp')  # where only the next packet says that one has ended
    with serving(answer(data), answer(data)) as port:
        source = StreamSource(f'{scheme}://127.0.0.1:{port}/clip', reconnects=1)
        assert source.is_live
        frames = []
        with pytest.raises(OSError, match='broke off and could not be opened again in 1 tries'):
            for frame in source:
                frames.append(frame)
    assert [shown(frame.image) for frame in frames] == [*range(whole), *range(whole)]
    assert [frame.index for frame in frames] == list(range(2 * whole))
    assert [frame.index for frame in frames if frame.is_first] == [0, whole]
    assert source.reconnected == 1 and waits == [1, 1]
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(seconds)


def test_a_network_camera_of_jpeg_images():
    images = [picture(i) for i in range(FRAMES)]
    with serving(motion_jpeg(images)) as port:
        source = StreamSource(f'http://127.0.0.1:{port}/video', reconnects=0)
        assert source.is_live
        numbers = []
        with pytest.raises(OSError, match='in 0 tries'):
            for frame in source:
                numbers.append(shown(frame.image))
    assert numbers == list(range(FRAMES)) and source.broken == 0


def test_a_stream_that_is_not_there():
    port = free_port()
    for scheme in ('http', 'rtsp', 'tcp'):
        with pytest.raises(OSError, match='Connection refused'):
            StreamSource(f'{scheme}://127.0.0.1:{port}/clip')
