import cv2
import numpy as np
import pytest

from mmaction_emim.datasets.motion_shapes import CLASSES, render_clip
from mmaction_emim.datasets.motion_truth import true_motion

SIZE, FRAMES = 96, range(0, 24, 3)


@pytest.mark.parametrize('name', CLASSES)
def test_following_the_motion_shows_the_same_pixels(name):
    """A frame is found in the next one where its objects' pixels went."""
    label = CLASSES.index(name)
    errors = []
    for seed in range(4):
        clip = render_clip(label, seed, 24, SIZE)[FRAMES].astype(np.float32)
        on_object, displacement = true_motion(label, seed, FRAMES, SIZE, SIZE)
        rest = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)
        for t, mask in enumerate(on_object):
            where = np.nan_to_num(rest + displacement[t]).astype(np.float32)
            found = cv2.remap(clip[t + 1], where, None, cv2.INTER_LINEAR)
            errors += [np.abs(x - clip[t])[mask] for x in (found, clip[t + 1])]
    followed, stayed = (np.concatenate(errors[i::2]).mean() for i in (0, 1))
    assert len(np.concatenate(errors[::2])) > 5000
    if name == 'still':
        assert followed == stayed == 0
    else:
        assert followed < 0.4 * stayed  # what is left: one object passing over the other


def test_a_coarse_grid_has_the_motion_of_its_middles():
    label = CLASSES.index('right')
    on_object, displacement = true_motion(label, 3, range(0, 24, 3), 64, 8)
    assert on_object.shape == (7, 8, 8) and displacement.shape == (7, 8, 8, 2)
    moved = displacement[on_object]
    np.testing.assert_allclose(moved[:, 1], 0, atol=1e-9)
    # 3.5 to 7 pixels a frame of 128, three frames
    assert moved[:, 0].min() >= 3.5 * 3 / 2 and moved[:, 0].max() <= 7 * 3 / 2
    assert np.ptp(moved[:, 0]) < 1e-9 and np.isnan(displacement[~on_object]).all()
