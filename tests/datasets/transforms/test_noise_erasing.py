import numpy as np
import pytest

from mmaction_emim.datasets.transforms import NoiseErasing


def erase(seed=0, **options):
    np.random.seed(seed)
    imgs = [np.full((120, 160, 3), 7, np.uint8) for _ in range(4)]
    return np.array(NoiseErasing(**options)(dict(imgs=imgs))['imgs'])


def test_one_box_a_clip_with_noise_of_each_frame():
    for seed in range(20):
        frames = erase(seed, erase_prob=1.0)
        erased = (frames != 7).mean(axis=(0, 3)) > 0.5
        rows, columns = np.flatnonzero(erased.any(axis=1)), np.flatnonzero(erased.any(axis=0))
        assert erased.sum() == len(rows) * len(columns)  # a full rectangle
        assert 0.015 < erased.mean() < 0.35
        box = frames[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (frames != 7).sum() == (box != 7).sum()
        assert not np.array_equal(box[0], box[1])


def test_noise_is_standard_normal_after_normalisation():
    frames = erase(1, erase_prob=1.0, min_area_ratio=0.3)
    noise = (frames[frames != 7].astype(float) - 114.75) / 57.375
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(0.97, abs=0.03)  # cut at 0 and 255


def test_probability_and_seed():
    assert np.array_equal(erase(5, erase_prob=1.0), erase(5, erase_prob=1.0))
    erased = [bool((erase(seed) != 7).any()) for seed in range(400)]
    assert np.mean(erased) == pytest.approx(0.25, abs=0.06)
