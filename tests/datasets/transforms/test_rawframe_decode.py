import cv2
import numpy as np
import pytest
from mmaction.datasets.transforms import RawFrameDecode

from mmaction_emim.datasets.transforms import CheckedRawFrameDecode
from mmaction_emim.datasets.transforms.image_end import image_problem

from ...official import jpegs


def decode(folder, transform=CheckedRawFrameDecode):
    results = dict(
        frame_dir=str(folder),
        filename_tmpl='{:05}.jpg',
        modality='RGB',
        frame_inds=np.array([1, 2, 2, 3]),
    )
    return transform()(results)['imgs']


@pytest.fixture
def folder(tmp_path):
    for number, data in enumerate(jpegs(count=3), start=1):
        (tmp_path / f'{number:05}.jpg').write_bytes(data)
    return tmp_path


def test_whole_frames_are_upstreams(folder):
    (folder / '00003.jpg').write_bytes((folder / '00003.jpg').read_bytes() + b'\0' * 100)
    np.testing.assert_array_equal(decode(folder), decode(folder, RawFrameDecode))


@pytest.mark.parametrize(
    'damage, sentence',
    [
        (lambda data: data[: len(data) // 2], '00002.jpg: the frame is cut short'),
        (lambda data: data[:-2], '00002.jpg: the frame is cut short'),
        (lambda data: b'', '00002.jpg: the frame is empty'),
        (lambda data: b'no' + data, '00002.jpg: the frame is no JPEG or PNG image'),
    ],
)
def test_what_is_wrong_with_a_frame(folder, damage, sentence):
    path = folder / '00002.jpg'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=sentence):
        decode(folder)


def test_bytes_behind_the_end_and_png_as_opencv_reads_them(folder):
    path = folder / '00002.jpg'
    path.write_bytes(path.read_bytes() + b'\xff\xd9' + b'x' * 5000)
    png = folder / '00003.jpg'
    png.write_bytes(cv2.imencode('.png', cv2.imread(str(png)))[1].tobytes())
    np.testing.assert_array_equal(decode(folder), decode(folder, RawFrameDecode))


def test_the_end_of_a_thumbnail_is_not_that_of_the_frame(folder):
    path = folder / '00002.jpg'
    whole = path.read_bytes()
    thumbnail = b'\xff\xe1' + (2 + len(whole)).to_bytes(2, 'big') + whole
    path.write_bytes(whole[:2] + thumbnail + whole[2:])
    np.testing.assert_array_equal(decode(folder), decode(folder, RawFrameDecode))
    path.write_bytes(whole[:2] + thumbnail + whole[2:-100])
    with pytest.raises(ValueError, match='00002.jpg: the frame is cut short'):
        decode(folder)


@pytest.mark.parametrize(
    'options', [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]]
)
def test_progressive_and_restart_markers(options):
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    data = cv2.imencode('.jpg', noise, options)[1].tobytes()
    assert image_problem(data) is None
    cuts = range(2, len(data) - 1, 7)
    assert {image_problem(data[:cut]) for cut in cuts} == {'is cut short'}


def test_a_frame_is_missing(folder):
    (folder / '00002.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='00002.jpg'):
        decode(folder)
