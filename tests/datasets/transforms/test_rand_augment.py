import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from mmaction_emim.datasets.transforms import RandAugment
from mmaction_emim.datasets.transforms.rand_augment import OPERATIONS

FILL = 115


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    blobs = cv2.resize(rng.integers(20, 230, (6, 8, 3), dtype=np.uint8), (64, 48))
    return cv2.add(blobs, rng.integers(0, 20, blobs.shape, dtype=np.uint8))


def apply(name, frame, level=0.7, sign=1):
    return OPERATIONS[name]([frame], level, sign, FILL)[0]


# What Pillow makes of the same frame at magnitude 7; factors are 1 + 0.9 * 0.7.
PILLOW = {
    'auto_contrast': ImageOps.autocontrast,
    'equalize': ImageOps.equalize,
    'invert': ImageOps.invert,
    'posterize': lambda image: ImageOps.posterize(image, 2),
    'solarize': lambda image: ImageOps.solarize(image, 256 - 179),
    'solarize_add': lambda image: image.point([i + 77 * (i < 128) for i in range(256)] * 3),
    'color': lambda image: ImageEnhance.Color(image).enhance(1.63),
    'contrast': lambda image: ImageEnhance.Contrast(image).enhance(1.63),
    'brightness': lambda image: ImageEnhance.Brightness(image).enhance(1.63),
    'sharpness': lambda image: ImageEnhance.Sharpness(image).enhance(1.63),
}


@pytest.mark.parametrize('name', PILLOW)
def test_values_are_those_of_pillow(frame, name):
    ours = apply(name, frame).astype(int)
    theirs = np.asarray(PILLOW[name](Image.fromarray(frame))).astype(int)
    assert np.abs(theirs - frame).mean() > 1
    assert np.abs(ours - theirs).mean() < 1
    assert np.abs(ours - theirs).max() <= (8 if name == 'equalize' else 2)


@pytest.mark.parametrize(
    'name, shift', [('translate_x', (0, 20)), ('translate_y', (15, 0))]
)  # 0.45 * 0.7 of 64 and of 48
def test_translation(frame, name, shift):
    moved = apply(name, frame)
    down, right = shift
    height, width = frame.shape[:2]
    kept = frame[: height - down, : width - right]
    assert np.abs(moved[down:, right:].astype(int) - kept).mean() < 8  # fractions of a pixel
    assert (moved[: max(down - 1, 0)] == FILL).all() and (
        moved[:, : max(right - 1, 0)] == FILL
    ).all()
    assert not np.array_equal(moved, apply(name, frame, sign=-1))


def test_rotation_and_shear(frame):
    turned = apply('rotate', frame)
    assert np.array_equal(turned[23:25, 31:33], apply('rotate', turned, 0)[23:25, 31:33])
    corner = apply('shear_x', frame)[-1, :9]
    assert (corner == FILL).all()  # 0.3 * 0.7 * 47 pixels
    assert (apply('shear_y', frame)[:13, -1] == FILL).all()
    for name in ('rotate', 'shear_x', 'shear_y', 'translate_x', 'translate_y'):
        assert np.array_equal(apply(name, frame, level=0), frame)


def test_constant_frames():
    frame = np.full((16, 16, 3), 90, np.uint8)
    for name in ('auto_contrast', 'equalize', 'sharpness', 'color', 'contrast'):
        assert np.array_equal(apply(name, frame), frame), name


def test_one_draw_a_clip(frame):
    transform = RandAugment(prob=1)
    changed = 0
    for seed in range(20):
        np.random.seed(seed)
        imgs = transform.transform({'imgs': [frame] * 4})['imgs']
        assert all(np.array_equal(img, imgs[0]) for img in imgs)
        assert imgs[0].shape == frame.shape and imgs[0].dtype == np.uint8
        changed += not np.array_equal(imgs[0], frame)
        np.random.seed(seed)
        assert np.array_equal(transform.transform({'imgs': [frame]})['imgs'][0], imgs[0])
    assert changed == 20


def test_draws():
    np.random.seed(0)
    draws = [RandAugment().draw() for _ in range(2000)]
    counts = np.bincount([len(draw) for draw in draws], minlength=5)
    assert np.abs(counts / 2000 - np.array([1, 4, 6, 4, 1]) / 16).max() < 0.03
    names, levels, signs = zip(*(layer for draw in draws for layer in draw), strict=True)
    assert set(names) == set(OPERATIONS) and len(OPERATIONS) == 15
    assert abs(np.mean(levels) - 0.7) < 0.005 and abs(np.std(levels) - 0.05) < 0.005
    assert abs(np.mean(signs)) < 0.05


def test_refusals(frame):
    with pytest.raises(ValueError, match='magnitude must be 0 to 10, got 11'):
        RandAugment(magnitude=11)
    with pytest.raises(ValueError, match='uint8'):
        RandAugment().transform({'imgs': [frame.astype(np.float32)]})


@pytest.mark.parametrize('name, axis', [('translate_x', 1), ('translate_y', 0)])
@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('level', [0.0, 0.013, 0.33, 0.7, 1.0])
def test_translations_by_parts_of_pixels_are_opencvs(name, axis, sign, level):
    img = np.random.default_rng(0).integers(0, 255, (23, 31, 3), dtype=np.uint8)
    img = cv2.GaussianBlur(img, (5, 5), 0)
    matrix = np.eye(2, 3)
    matrix[1 - axis, 2] = sign * 0.45 * level * img.shape[axis]
    want = cv2.warpAffine(img, matrix, (31, 23), flags=cv2.INTER_LINEAR, borderValue=[115] * 3)
    (got,) = OPERATIONS[name]([img], level, sign, 115)
    assert np.abs(got.astype(int) - want).max() <= 4  # OpenCV's weights are multiples of 1/32


def test_frames_stay_as_they_are_and_are_not_given_back():
    """CheckedVideoDataset relies on it where it augments a decoded clip twice."""
    assert RandAugment.copies_frames
    imgs = list(np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3), dtype=np.uint8))
    before = np.stack(imgs)
    for name in OPERATIONS:
        for out in (*OPERATIONS[name](imgs, 0.0, 1, 115), *OPERATIONS[name](imgs, 1.0, -1, 115)):
            assert not any(np.shares_memory(out, img) for img in imgs), name
    nothing = RandAugment(prob=0.0)(dict(imgs=imgs))['imgs']
    assert not any(np.shares_memory(a, b) for a, b in zip(nothing, imgs, strict=True))
    np.testing.assert_array_equal(imgs, before)
