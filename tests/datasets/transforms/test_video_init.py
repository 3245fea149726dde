from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode

from mmaction_emim.datasets.transforms import CheckedDecordInit
from mmaction_emim.datasets.transforms.truncation import missing_bytes
from mmaction_emim.datasets.transforms.video_init import PyAVReader

CODECS = Path(__file__).parents[4] / 'shared/data/codecs'


def write(path, codec='libx264', frames=12, size=(64, 48), pts=None, streams=1):
    """A clip whose frame i is grey of 10 + 12 i; a second stream is darker and larger."""
    with av.open(str(path), 'w') as container:
        added = []
        for n in range(streams):
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height = (side * (n + 1) for side in size)
            stream.pix_fmt = 'yuv420p'
            stream.options = {'g': '4'}
            added.append(stream)
        for i in range(frames):
            for n, stream in enumerate(added):
                grey = np.full((stream.height, stream.width, 3), (10 + 12 * i) // (n + 1), np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format='rgb24')
                if pts:
                    frame.pts = pts[i]
                container.mux(stream.encode(frame))
        for stream in added:
            container.mux(stream.encode())
    return str(path)


def read(path, wanted=None, **options):
    results = CheckedDecordInit(**options)(dict(filename=str(path)))
    total = results['total_frames']
    results['frame_inds'] = np.arange(total) if wanted is None else np.array(wanted)
    return total, DecordDecode()(results)['imgs']


def greys(imgs):
    return np.array([img.mean() for img in imgs])


@pytest.mark.parametrize(
    'name, codec',
    [
        ('h264.mp4', 'libx264'),
        ('vp9.webm', 'libvpx-vp9'),
        ('vp8.webm', 'libvpx'),
        ('mpeg4.avi', 'mpeg4'),
        ('h264.mkv', 'libx264'),
        ('h264.mov', 'libx264'),
    ],
)
@pytest.mark.parametrize('reader', ['decord', 'pyav'])
def test_frames_are_the_right_ones(tmp_path, name, codec, reader):
    path = write(tmp_path / name, codec)
    wanted = [11, 0, 5, 5]
    if reader == 'pyav':
        total, imgs = len(PyAVReader(path)), PyAVReader(path).get_batch(wanted).asnumpy()
    else:
        total, imgs = read(path, wanted)
    assert (total, imgs[0].shape) == (12, (48, 64, 3))
    assert np.abs(greys(imgs) - (10 + 12 * np.array(wanted))).max() < 4


@pytest.mark.parametrize('frames', [1, 3])
def test_short_clips(tmp_path, frames):
    assert read(write(tmp_path / 'a.mp4', frames=frames))[0] == frames


def test_variable_frame_rate_counts_frames(tmp_path):
    path = write(tmp_path / 'a.mp4', pts=[0, 1, 2, 3, 10, 11, 12, 30, 31, 60, 61, 62])
    total, imgs = read(path)
    assert total == 12 and np.abs(greys(imgs) - (10 + 12 * np.arange(12))).max() < 4


def test_odd_sizes(tmp_path):
    path = write(tmp_path / 'a.webm', 'libvpx-vp9', size=(51, 37))
    assert read(path)[1][0].shape == (37, 51, 3)


def test_two_video_streams_are_read_alike(tmp_path):
    path = write(tmp_path / 'a.mkv', streams=2)
    total, imgs = read(path)
    other = PyAVReader(path).get_batch(range(total)).asnumpy()
    assert imgs[0].shape == other[0].shape and np.abs(greys(imgs) - greys(other)).max() < 2


@pytest.mark.parametrize('num_threads', [1, 2])
def test_threads_that_read_vp9(tmp_path, num_threads):
    assert read(write(tmp_path / 'a.webm', 'libvpx-vp9'), num_threads=num_threads)[0] == 12


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_threads=0), 'num_threads must be 1 or 2, .* got 0'),
        (dict(num_threads=4), 'num_threads must be 1 or 2, .* got 4'),
        (dict(fallback='cv2'), "fallback must be 'pyav' or None, got 'cv2'"),
        (dict(fallback='pyav', io_backend='petrel'), "fallback needs io_backend='disk'"),
    ],
)
def test_refuses_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        CheckedDecordInit(**options)


def test_program_streams_are_refused_or_read_by_pyav(tmp_path):
    path = write(tmp_path / 'a.mpg', 'mpeg2video')
    with pytest.raises(ValueError, match="fallback='pyav' may read it.*MPEG program streams"):
        read(path)
    total, imgs = read(path, fallback='pyav')
    assert total == 12 and np.abs(greys(imgs) - (10 + 12 * np.arange(12))).max() < 6


def test_av1_is_refused_or_read_by_pyav(tmp_path):
    try:
        path = write(tmp_path / 'a.mkv', 'libsvtav1', size=(128, 96))
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f'PyAV has no AV1 encoder here: {error}')
    with pytest.raises(ValueError, match='decord cannot open it'):
        read(path)
    total, imgs = read(path, fallback='pyav')
    assert total == 12 and np.abs(greys(imgs) - (10 + 12 * np.arange(12))).max() < 8


@pytest.mark.parametrize('name', ['a.mp4', 'a.webm', 'a.avi', 'a.mkv'])
def test_files_cut_short_are_refused(tmp_path, name):
    codec = {'webm': 'libvpx-vp9', 'avi': 'mpeg4'}.get(name[2:], 'libx264')
    path = Path(write(tmp_path / name, codec))
    assert missing_bytes(str(path)) == 0
    whole = path.read_bytes()
    for cut in (1, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        assert 0 < missing_bytes(str(path)) <= cut
        with pytest.raises(ValueError, match=r'cut short: \d+ bytes or more are missing'):
            read(path)


@pytest.mark.parametrize('content', [b'', b'\0' * 9, b'no video at all', bytes(range(256)) * 9])
def test_no_video_is_one_sentence(tmp_path, content):
    (tmp_path / 'a.mp4').write_bytes(content)
    for fallback in (None, 'pyav'):
        with pytest.raises(Exception) as raised:
            read(tmp_path / 'a.mp4', fallback=fallback)
        assert str(raised.value) and 'workspace' not in str(raised.value)


@pytest.mark.parametrize('name', ['video_90.mov', 'two_vp9.webm', 'test.avi', 'h264_10bits.mp4'])
def test_real_clips_are_read_alike(name):
    if not (CODECS / name).exists():
        pytest.skip('shared/data/codecs is not here')
    total, imgs = read(CODECS / name)
    assert len(PyAVReader(str(CODECS / name))) == total
    theirs = PyAVReader(str(CODECS / name)).get_batch(range(total)).asnumpy()
    if '10bits' in name:  # the two FFmpegs come from 10 bits to 8 in different ways
        assert np.abs(theirs.astype(int) - np.stack(imgs)).mean() < 4
    else:
        assert np.array_equal(theirs, imgs)


def test_rotated_clip_is_upright():
    if not (CODECS / 'video_90.mov').exists():
        pytest.skip('shared/data/codecs is not here')
    _, imgs = read(CODECS / 'video_90.mov', [0])
    upright = cv2.VideoCapture(str(CODECS / 'video_90.mov')).read()[1][..., ::-1]
    assert imgs[0].shape == upright.shape
    assert np.abs(imgs[0].astype(int) - upright).mean() < 3


@pytest.mark.parametrize('options', [{}, dict(fallback='pyav')])
def test_short_side_is_decoded_smaller_and_never_larger(tmp_path, options):
    codec = 'libx264' if not options else 'mpeg2video'
    path = write(tmp_path / ('a.mp4' if not options else 'a.mpg'), codec, size=(104, 52))
    _, whole = read(path, [0, 5, 5, 11], **options)
    _, small = read(path, [0, 5, 5, 11], short_side=26, **options)
    assert [img.shape for img in small] == [(26, 52, 3)] * 4
    np.testing.assert_allclose(greys(small), greys(whole), atol=3)  # frames are 12 apart
    _, same = read(path, [0, 5, 5, 11], short_side=100, **options)
    np.testing.assert_array_equal(same, whole)


def test_short_side_of_a_rotated_clip():
    path = CODECS / 'video_90.mov'
    if not path.exists():
        pytest.skip(f'{path} is not there')
    for options in ({}, dict(fallback='pyav')):
        _, imgs = read(path, [0, 2], short_side=160, **options)
        assert imgs[0].shape == (284, 160, 3)


@pytest.mark.parametrize('short_side', [0, 1.5, '256'])
def test_short_side_is_checked(short_side):
    with pytest.raises(ValueError, match='short_side must be an integer of 2 or more'):
        CheckedDecordInit(short_side=short_side)
