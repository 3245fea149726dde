import numpy as np
import pytest

from mmaction_emim.datasets.transforms import FrameOrder


def order(name, path='a.mp4'):
    results = dict(frame_inds=np.arange(12), clip_len=6, filename=path)
    return FrameOrder(name).transform(results)['frame_inds'].reshape(2, 6)


def test_forward_and_reversed():
    assert np.array_equal(order('forward').ravel(), np.arange(12))
    assert order('reversed').tolist() == [[5, 4, 3, 2, 1, 0], [11, 10, 9, 8, 7, 6]]


def test_static_repeats_the_first_frame_of_each_clip():
    assert order('static').tolist() == [[0] * 6, [6] * 6]


def test_shuffled_keeps_clips_apart_and_depends_on_the_path_alone():
    shuffled = order('shuffled')
    assert np.array_equal(np.sort(shuffled), order('forward'))
    assert not np.array_equal(shuffled, order('forward'))
    assert np.array_equal(shuffled, order('shuffled'))
    assert not np.array_equal(shuffled, order('shuffled', 'b.mp4'))


def test_refuses_other_orders():
    with pytest.raises(ValueError, match='accepted are'):
        FrameOrder('backwards')
