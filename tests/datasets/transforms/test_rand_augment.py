import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.transforms import RandAugment
from mmaction_emim.datasets.transforms.rand_augment import OPERATIONS, auto_contrast, equalize

STILL = {'auto_contrast', 'equalize', 'invert'}  # operations without a strength


@pytest.fixture
def frames():
    """Three different 24x32 frames."""
    rng = np.random.default_rng(0)
    return list(rng.integers(20, 230, (3, 24, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_keep_their_input_and_give_uint8(frames, name):
    before = [img.copy() for img in frames]
    for level in (-1.0, -0.7, 0.7, 1.0):
        out = OPERATIONS[name](frames, level)
        assert {(img.shape, img.dtype.name) for img in out} == {((24, 32, 3), 'uint8')}
        assert not np.array_equal(out, before)
    assert np.array_equal(frames, before)


@pytest.mark.parametrize('name', sorted(set(OPERATIONS) - STILL))
def test_strength_increases(name):
    x, y = np.meshgrid(np.arange(96), np.arange(72))
    blob = 60 + 150 * np.exp(-((x - 40) ** 2 + 2 * (y - 30) ** 2) / 400)
    img = np.stack([blob, blob / 2, 255 - blob], axis=-1).astype(np.uint8)
    change = [
        np.abs(np.int32(OPERATIONS[name]([img], level)) - np.int32([img])).mean()
        for level in (0.1, 0.8)
    ]
    assert change[0] < change[1]


def test_values(frames):
    img = np.uint8([[[0, 127, 128], [200, 255, 100]]])

    def one(name, level):
        return OPERATIONS[name]([img], level)[0].ravel().tolist()

    assert one('invert', 0.7) == [255, 128, 127, 55, 0, 155]
    assert one('posterize', 0.7) == [0, 64, 128, 192, 192, 64]  # the 2 highest bits
    assert one('solarize', 0.7) == [0, 128, 127, 55, 0, 155]  # from 77 up
    assert one('solarize_add', 0.7) == [77, 204, 128, 200, 255, 177]
    assert one('brightness', -0.5) == [0, 69, 70, 110, 140, 55]
    gray = OPERATIONS['color']([img], -1.0)[0].astype(int)  # a tenth of the colour is left
    assert np.ptp(gray[0, 0]) < 16
    assert np.ptp(auto_contrast([frames[0]], 0)[0], axis=(0, 1)).tolist() == [255] * 3
    ramp = np.repeat(np.arange(64, dtype=np.uint8), 2880).reshape(240, 256, 3)
    levels = np.unique(equalize([ramp], 0)[0])
    assert np.ptp(levels) > 240 and len(levels) > 60


def test_geometry():
    img = np.zeros((20, 20, 3), np.uint8)
    img[10, 12] = 255
    moved = OPERATIONS['translate_x']([img], 0.5)[0]  # looks 4 to the right
    assert moved[10, 8].min() == 255 and tuple(moved[10, 19]) == (128, 128, 128)
    moved = OPERATIONS['translate_y']([img], -1.0)[0]
    assert moved[19, 12].min() == 255 and tuple(moved[0, 0]) == (128, 128, 128)
    turned = OPERATIONS['rotate']([img], -1.0)[0]
    assert np.all(turned[0, 0] == 128) and 100 < turned.max() <= 255
    sheared = OPERATIONS['shear_x']([img], 0.5)[0]
    assert np.abs(sheared.astype(int) - img)[:9].sum() > 0 and np.array_equal(sheared[0], img[0])


def test_sharpness_zero_is_smooth(frames):
    smooth = OPERATIONS['sharpness']([frames[0]], -1.0)[0]
    inner = (slice(1, -1), slice(1, -1))
    assert smooth[inner].std() < frames[0][inner].std()
    assert np.array_equal(smooth[0], frames[0][0])


def test_one_draw_a_clip_and_a_seed(frames):
    same = [frames[0]] * 4
    init_default_scope('mmaction')
    augment = TRANSFORMS.build(dict(type='RandAugment', prob=1.0))
    seen = set()
    for seed in range(30):
        np.random.seed(seed)
        out = augment(dict(imgs=same))['imgs']
        assert all(np.array_equal(img, out[0]) for img in out)
        np.random.seed(seed)
        assert np.array_equal(augment(dict(imgs=same))['imgs'][0], out[0])
        seen.add(out[0].tobytes())
    assert len(seen) > 25


def test_draws_follow_the_recipe():
    np.random.seed(0)
    draws = [RandAugment().draw() for _ in range(4000)]
    assert np.mean([len(draw) for draw in draws]) == pytest.approx(2.0, abs=0.06)
    names, levels = zip(*(one for draw in draws for one in draw), strict=True)
    counts = [names.count(name) for name in OPERATIONS]
    assert min(counts) > 400 and max(counts) < 680
    assert np.mean(np.abs(levels)) == pytest.approx(0.7, abs=0.005)
    assert np.std(np.abs(levels)) == pytest.approx(0.05, abs=0.005)
    assert np.mean(np.sign(levels)) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(magnitude=11), 'magnitude must be 0 to 10, got 11'),
        (dict(num_layers=1.5), 'num_layers must be an integer of 0 or more, got 1.5'),
        (dict(magnitude_std=-1), 'magnitude_std must be 0 or more, got -1'),
        (dict(prob=2), 'prob must be 0 to 1, got 2'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**options)


def test_refuses_frames_that_are_not_rgb_bytes():
    with pytest.raises(ValueError, match='uint8, got .* of float32'):
        RandAugment()(dict(imgs=[np.zeros((4, 4, 3), np.float32)]))


def test_nothing_drawn_changes_nothing(frames):
    out = RandAugment(num_layers=0)(dict(imgs=frames))['imgs']
    assert all(a is b for a, b in zip(out, frames, strict=True))
