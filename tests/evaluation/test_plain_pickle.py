import pickle

import numpy as np
import pytest
from mmengine.fileio import load
from mmengine.fileio.handlers import file_handlers

from mmaction_emim.evaluation.plain_pickle import read_pickles_as_data


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_list_of_skeletons_is_read_as_it_is(monkeypatch, tmp_path, protocol):
    for name in ('pkl', 'pickle'):
        monkeypatch.setitem(file_handlers, name, file_handlers[name])
    read_pickles_as_data()
    rng = np.random.default_rng(0)
    points = rng.standard_normal((2, 9, 17, 2)).astype(np.float16)
    clip = dict(frame_dir='a', label=np.int64(3), img_shape=(480, 854), keypoint=points)
    given = dict(split={'train': ['a']}, annotations=[{**clip, 'by column': points[0, 0].T}])
    file = tmp_path / 'list.pkl'
    file.write_bytes(pickle.dumps(given, protocol))
    got = load(str(file))
    np.testing.assert_equal(got, given)
    assert got['annotations'][0]['keypoint'].dtype == np.float16
