import numpy as np
import pytest

from mmaction_emim.datasets.transforms import FrameOrder


def order(name, path='a.mp4', seed=0, **sampled):
    results = dict(frame_inds=np.arange(12), clip_len=6, num_clips=2, filename=path)
    return FrameOrder(name, seed).transform({**results, **sampled})['frame_inds'].reshape(2, 6)


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


def test_another_seed_is_another_permutation():
    first, second = order('shuffled', seed=1), order('shuffled', seed=2)
    assert np.array_equal(np.sort(first), order('forward'))
    assert len({tuple(x.ravel()) for x in (first, second, order('shuffled'))}) == 3


def test_every_second_frame_is_shown_twice():
    assert order('every_second').tolist() == [[0, 0, 2, 2, 4, 4], [6, 6, 8, 8, 10, 10]]
    odd = dict(frame_inds=np.arange(5), clip_len=5, num_clips=1)
    assert FrameOrder('every_second').transform(odd)['frame_inds'].tolist() == [0, 0, 2, 2, 4]


def test_single_frames_of_a_video_are_one_clip():
    """As for TSN and TSM; with ``twice_sample`` there are two of them."""
    one = order('reversed', clip_len=1, num_clips=12)
    assert one.ravel().tolist() == list(range(11, -1, -1))
    two = order('reversed', clip_len=1, num_clips=6)
    assert two.tolist() == [[5, 4, 3, 2, 1, 0], [11, 10, 9, 8, 7, 6]]


@pytest.mark.parametrize('options', [dict(seed=-1), dict(order='reversed', seed=1)], ids=str)
def test_refuses_a_seed_that_is_none_or_has_no_effect(options):
    with pytest.raises(ValueError, match='seed must be'):
        FrameOrder(**{'order': 'shuffled', **options})


def test_refuses_other_orders():
    with pytest.raises(ValueError, match='accepted are'):
        FrameOrder('backwards')
