"""Frames of files and of live streams, in order, each once."""

import socket
import threading
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.stream_source import StreamSource

from .numbered_clips import FRAMES, KINDS, shown, write

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


@pytest.fixture
def serve():
    """Serves bytes over TCP: each connection gets the next item, then is closed."""
    listener = socket.create_server(('127.0.0.1', 0))

    def start(*items: bytes) -> str:
        def send() -> None:
            for item in items:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(item)
            listener.close()

        threading.Thread(target=send, daemon=True).start()
        return f'tcp://127.0.0.1:{listener.getsockname()[1]}'

    yield start
    listener.close()


def test_a_live_stream_that_breaks_off_is_opened_again(serve, tmp_path):
    write(tmp_path / 'clip.ts')
    data = (tmp_path / 'clip.ts').read_bytes()
    source = StreamSource(serve(data, data), reconnects=1)
    assert source.is_live
    frames = []
    with pytest.raises(OSError, match='broke off and could not be opened again in 1 tries'):
        for frame in source:
            frames.append(frame)
    assert [shown(frame.image) for frame in frames] == [*range(FRAMES), *range(FRAMES)]
    assert [frame.index for frame in frames] == list(range(2 * FRAMES))
    assert [frame.index for frame in frames if frame.is_first] == [0, FRAMES]
    assert source.reconnected == 1
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(seconds)
