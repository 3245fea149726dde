"""RandAugment of a clip: N operations of magnitude M, drawn once and applied to every frame.

Source: Cubuk et al., RandAugment, arXiv 1909.13719, with the fifteen operations and ranges known as
``rand-m7-n4-mstd0.5-inc1``: the strength of every operation increases with the magnitude.
"""

from collections.abc import Callable

import cv2
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

MAX_MAGNITUDE = 10
FILL = (128, 128, 128)  # where a geometric operation uncovers the outside
_VALUES = np.arange(256, dtype=np.float32)
_GRAY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13

Frames = list[np.ndarray]


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """Apply ``num_layers`` random operations to the decoded frames, the same to every frame.

    Which operations, how strong and in which direction is drawn once a clip. The statistics that
    AutoContrast, Equalize and Contrast need are each frame's own.

    Args:
        magnitude: Mean strength, 0 to 10. Default 7.
        num_layers: Operations drawn with replacement. Default 4.
        magnitude_std: Standard deviation of the strength, which is clipped to 0 to 10. Default 0.5.
        prob: Probability that a drawn operation is applied. Default 0.5.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        magnitude: float = 7,
        num_layers: int = 4,
        magnitude_std: float = 0.5,
        prob: float = 0.5,
    ) -> None:
        for name, value, accepted, fine in (
            ('magnitude', magnitude, '0 to 10', 0 <= magnitude <= MAX_MAGNITUDE),
            ('num_layers', num_layers, 'an integer of 0 or more', num_layers in range(1000)),
            ('magnitude_std', magnitude_std, '0 or more', magnitude_std >= 0),
            ('prob', prob, '0 to 1', 0 <= prob <= 1),
        ):
            if not fine:
                raise ValueError(f'RandAugment: {name} must be {accepted}, got {value!r}')
        self.magnitude = magnitude
        self.num_layers = num_layers
        self.magnitude_std = magnitude_std
        self.prob = prob

    def draw(self) -> list[tuple[str, float]]:
        """The operations of one clip: names of ``OPERATIONS`` and signed levels, -1 to 1."""
        drawn = []
        for name in np.random.choice(list(OPERATIONS), self.num_layers):
            if np.random.rand() < self.prob:
                magnitude = np.random.normal(self.magnitude, self.magnitude_std)
                level = np.clip(magnitude, 0, MAX_MAGNITUDE) / MAX_MAGNITUDE
                drawn.append((str(name), float(np.random.choice((-1, 1)) * level)))
        return drawn

    def transform(self, results: dict) -> dict:
        """Replace ``imgs``, frames of (H, W, 3), RGB, uint8. The old frames are left as they are.

        Raises:
            ValueError: The frames are of another shape or type.
        """
        imgs = results['imgs']
        if imgs[0].ndim != 3 or imgs[0].shape[2] != 3 or imgs[0].dtype != np.uint8:
            raise ValueError(
                'RandAugment: frames must be (H, W, 3) of uint8, '
                f'got {imgs[0].shape} of {imgs[0].dtype}'
            )
        for name, level in self.draw():
            imgs = OPERATIONS[name](imgs, level)
        results['imgs'] = imgs
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(magnitude={self.magnitude}, num_layers={self.num_layers}, '
            f'magnitude_std={self.magnitude_std}, prob={self.prob})'
        )


def _table(imgs: Frames, values: np.ndarray) -> Frames:
    """Map each pixel value through 256 ``values``, (256,) or (256, 3)."""
    table = np.clip(values, 0, 255).astype(np.uint8).reshape(1, 256, -1)
    return [cv2.LUT(img, table) for img in imgs]


def _histograms(img: np.ndarray) -> list[np.ndarray]:
    return [cv2.calcHist([img], [c], None, [256], [0, 256]).ravel() for c in range(3)]


def _by_histogram(imgs: Frames, table_of: Callable[[np.ndarray], np.ndarray]) -> Frames:
    return [
        _table([img], np.stack([table_of(counts) for counts in _histograms(img)], axis=1))[0]
        for img in imgs
    ]


def _stretch(counts: np.ndarray) -> np.ndarray:
    """The table that maps the darkest value to 0 and the brightest to 255."""
    low, high = np.flatnonzero(counts)[[0, -1]]
    return _VALUES if low == high else (_VALUES - low) * (255 / (high - low))


def _equal(counts: np.ndarray) -> np.ndarray:
    """The table that flattens the histogram."""
    used = counts[counts > 0]
    step = (used.sum() - used[-1]) // 255
    if step == 0:
        return _VALUES
    below = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)[:-1]])
    return (below + step // 2) // step


def _factor(level: float) -> float:
    return 1 + 0.9 * level


def auto_contrast(imgs: Frames, level: float) -> Frames:
    """Stretch each channel of each frame over 0 to 255."""
    return _by_histogram(imgs, _stretch)


def equalize(imgs: Frames, level: float) -> Frames:
    """Flatten the histogram of each channel of each frame."""
    return _by_histogram(imgs, _equal)


def invert(imgs: Frames, level: float) -> Frames:
    """255 minus each value."""
    return _table(imgs, 255 - _VALUES)


def posterize(imgs: Frames, level: float) -> Frames:
    """Keep the 4 (level 0) to 0 (level 1) highest bits."""
    bits = 4 - int(4 * abs(level))
    return _table(imgs, np.arange(256) & (256 - (1 << (8 - bits))))


def solarize(imgs: Frames, level: float) -> Frames:
    """Invert values from a threshold of 256 (level 0) to 0 (level 1)."""
    return _table(imgs, np.where(_VALUES < 256 - int(256 * abs(level)), _VALUES, 255 - _VALUES))


def solarize_add(imgs: Frames, level: float) -> Frames:
    """Add up to 110 to the values below 128."""
    return _table(imgs, np.where(_VALUES < 128, _VALUES + int(110 * abs(level)), _VALUES))


def color(imgs: Frames, level: float) -> Frames:
    """Blend with the grey frame: saturation times 0.1 to 1.9."""
    factor = _factor(level)
    matrix = factor * np.eye(3, dtype=np.float32) + (1 - factor) * _GRAY
    return [cv2.transform(img, matrix) for img in imgs]


def contrast(imgs: Frames, level: float) -> Frames:
    """Blend with the mean grey of the frame: contrast times 0.1 to 1.9."""
    factor = _factor(level)
    out = []
    for img in imgs:
        mean = round(float(np.dot(cv2.mean(img)[:3], _GRAY)))
        out += _table([img], factor * _VALUES + (1 - factor) * mean)
    return out


def brightness(imgs: Frames, level: float) -> Frames:
    """Values times 0.1 to 1.9."""
    return _table(imgs, _factor(level) * _VALUES)


def sharpness(imgs: Frames, level: float) -> Frames:
    """Blend with the smoothed frame, times 0.1 to 1.9; the outermost pixels stay."""
    kernel = (1 - _factor(level)) * _SMOOTH
    kernel[1, 1] += _factor(level)
    out = []
    for img in imgs:
        sharp = img.copy()
        sharp[1:-1, 1:-1] = cv2.filter2D(img, -1, kernel)[1:-1, 1:-1]
        out.append(sharp)
    return out


def _warp(imgs: Frames, matrix: np.ndarray) -> Frames:
    """``matrix``, (2, 3), takes an output position to the input's."""
    h, w = imgs[0].shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = np.asarray(matrix, dtype=np.float32)
    return [cv2.warpAffine(img, matrix, (w, h), flags=flags, borderValue=FILL) for img in imgs]


def rotate(imgs: Frames, level: float) -> Frames:
    """Rotate about the centre, counter-clockwise, by up to 30 degrees."""
    h, w = imgs[0].shape[:2]
    return _warp(imgs, cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), -30 * level, 1.0))


def shear_x(imgs: Frames, level: float) -> Frames:
    """Shear horizontally by up to 0.3."""
    return _warp(imgs, [[1, 0.3 * level, 0], [0, 1, 0]])


def shear_y(imgs: Frames, level: float) -> Frames:
    """Shear vertically by up to 0.3."""
    return _warp(imgs, [[1, 0, 0], [0.3 * level, 1, 0]])


def _shift(imgs: Frames, dx: int, dy: int) -> Frames:
    """Output position (x, y) shows the input at (x + dx, y + dy)."""
    h, w = imgs[0].shape[:2]
    to, of = (
        (
            slice(max(-dy, 0), h - max(dy, 0)),
            slice(max(-dx, 0), w - max(dx, 0)),
        )
        for dx, dy in ((dx, dy), (-dx, -dy))
    )
    out = []
    for img in imgs:
        moved = np.full_like(img, FILL[0])
        moved[to] = img[of]
        out.append(moved)
    return out


def translate_x(imgs: Frames, level: float) -> Frames:
    """Move horizontally by up to 0.45 of the width, in whole pixels."""
    return _shift(imgs, round(0.45 * level * imgs[0].shape[1]), 0)


def translate_y(imgs: Frames, level: float) -> Frames:
    """Move vertically by up to 0.45 of the height, in whole pixels."""
    return _shift(imgs, 0, round(0.45 * level * imgs[0].shape[0]))


OPERATIONS: dict[str, Callable[[Frames, float], Frames]] = {
    operation.__name__: operation
    for operation in (
        auto_contrast,
        equalize,
        invert,
        rotate,
        posterize,
        solarize,
        solarize_add,
        color,
        contrast,
        brightness,
        sharpness,
        shear_x,
        shear_y,
        translate_x,
        translate_y,
    )
}
