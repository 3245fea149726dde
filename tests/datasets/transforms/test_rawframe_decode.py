import numpy as np
import pytest
from mmaction.datasets.transforms import RawFrameDecode

from mmaction_emim.datasets.transforms import CheckedRawFrameDecode

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
        (lambda data: b'no' + data, '00002.jpg: the frame is no JPEG image'),
    ],
)
def test_what_is_wrong_with_a_frame(folder, damage, sentence):
    path = folder / '00002.jpg'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=sentence):
        decode(folder)


def test_a_frame_is_missing(folder):
    (folder / '00002.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='00002.jpg'):
        decode(folder)
