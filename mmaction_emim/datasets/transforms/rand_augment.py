"""``RandAugment`` on the frames of a clip, one draw a clip, with OpenCV."""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

LEVELS = 10  # magnitudes go from 0 to this


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """RandAugment (arXiv 1909.13719) with increasing severity, ``rand-m7-n4-mstd0.5-inc1``.

    Draws ``num_layers`` of 15 operations with replacement. Each is applied with probability
    ``prob``, at a magnitude from a normal distribution. All frames of the clip get the same.

    Required keys: ``imgs``, a list of uint8 RGB frames (H, W, 3). Modified keys: ``imgs``.

    Args:
        magnitude: Mean of the magnitude, 0 to 10. Defaults to 7.
        num_layers: Number of operations. Defaults to 4.
        magnitude_std: Standard deviation of the magnitude. Defaults to 0.5.
        prob: Probability of applying a drawn operation. Defaults to 0.5.
        fill: Value of pixels from outside of the frame. Defaults to 115, the mean that frames are
            normalized with.

    Raises:
        ValueError: An argument is out of its range, or the frames are not uint8 RGB.
    """

    copies_frames = True  # the frames it is given stay as they are, and are not given back

    def __init__(
        self,
        magnitude: float = 7,
        num_layers: int = 4,
        magnitude_std: float = 0.5,
        prob: float = 0.5,
        fill: int = 115,
    ) -> None:
        for name, value, low, high in (
            ('magnitude', magnitude, 0, LEVELS),
            ('num_layers', num_layers, 1, 100),
            ('magnitude_std', magnitude_std, 0, LEVELS),
            ('prob', prob, 0, 1),
            ('fill', fill, 0, 255),
        ):
            if not low <= value <= high:
                raise ValueError(f'RandAugment: {name} must be {low} to {high}, got {value!r}')
        self.magnitude = magnitude
        self.num_layers = num_layers
        self.magnitude_std = magnitude_std
        self.prob = prob
        self.fill = fill

    def draw(self) -> list[tuple[str, float, int]]:
        """What one clip gets: names of operations, magnitudes in 0…1, and signs."""
        drawn = []
        for name in np.random.choice(list(OPERATIONS), self.num_layers):
            if np.random.random() < self.prob:
                level = np.random.normal(self.magnitude, self.magnitude_std)
                sign = int(np.random.choice((-1, 1)))
                drawn.append((str(name), float(np.clip(level, 0, LEVELS)) / LEVELS, sign))
        return drawn

    def transform(self, results: dict) -> dict:
        imgs = results['imgs']
        if imgs[0].dtype != np.uint8 or imgs[0].ndim != 3 or imgs[0].shape[2] != 3:
            raise ValueError(
                'RandAugment: frames must be uint8 (H, W, 3), got '
                f'{imgs[0].dtype} {imgs[0].shape}; put it before normalization and FormatShape'
            )
        drawn = self.draw()
        results['imgs'] = [self._augmented(img, drawn) for img in imgs]
        return results

    def _augmented(self, img: np.ndarray, drawn: Sequence[tuple[str, float, int]]) -> np.ndarray:
        """One frame through all operations, while it is in the cache."""
        frames = [img] if drawn else [img.copy()]
        for name, level, sign in drawn:
            frames = OPERATIONS[name](frames, level, sign, self.fill)
        return frames[0]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(magnitude={self.magnitude}, num_layers={self.num_layers}, '
            f'magnitude_std={self.magnitude_std}, prob={self.prob}, fill={self.fill})'
        )


Frames = Sequence[np.ndarray]
GREYS = np.arange(256)


def _lookup(table: Callable[[float], np.ndarray]) -> Callable:
    """An operation that maps every value by a table made from the magnitude."""

    def apply(imgs: Frames, level: float, sign: int, fill: int) -> list[np.ndarray]:
        lut = np.clip(table(level), 0, 255).astype(np.uint8)
        return [cv2.LUT(img, lut) for img in imgs]

    return apply


def _stretch(imgs: Frames, *_: float) -> list[np.ndarray]:
    """Each channel of each frame stretched to 0…255; a channel of one value stays."""

    def stretch(channel: np.ndarray) -> np.ndarray:
        if channel.min() == channel.max():
            return channel
        return cv2.normalize(channel, None, 0, 255, cv2.NORM_MINMAX)

    return [cv2.merge([stretch(channel) for channel in cv2.split(img)]) for img in imgs]


def _equalize(imgs: Frames, *_: float) -> list[np.ndarray]:
    """The histogram of each channel of each frame made flat."""
    return [cv2.merge([cv2.equalizeHist(c) for c in cv2.split(img)]) for img in imgs]


def _blend(degenerate: Callable[[np.ndarray], np.ndarray]) -> Callable:
    """An operation that goes away from (sign 1) or towards a degenerate frame."""

    def apply(imgs: Frames, level: float, sign: int, fill: int) -> list[np.ndarray]:
        factor = max(0.1, 1 + sign * 0.9 * level)
        return [cv2.addWeighted(img, factor, degenerate(img), 1 - factor, 0) for img in imgs]

    return apply


def _grey(img: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _mean_grey(img: np.ndarray) -> np.ndarray:
    return np.full_like(img, round(cv2.mean(cv2.cvtColor(img, cv2.COLOR_RGB2GRAY))[0]))


def _smooth(img: np.ndarray) -> np.ndarray:
    """3×3 smoothing with 5 in the middle; the border stays."""
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = 5
    smooth = cv2.filter2D(img, -1, kernel / kernel.sum())
    smooth[[0, -1]] = img[[0, -1]]
    smooth[:, [0, -1]] = img[:, [0, -1]]
    return smooth


def _warp(matrix: Callable[[float, int, int], np.ndarray]) -> Callable:
    """An operation that moves pixels by a 2×3 matrix made from the magnitude, width and height."""

    def apply(imgs: Frames, level: float, sign: int, fill: int) -> list[np.ndarray]:
        height, width = imgs[0].shape[:2]
        affine = matrix(sign * level, width, height).astype(np.float32)
        return [
            cv2.warpAffine(
                img, affine, (width, height), flags=cv2.INTER_LINEAR, borderValue=[fill] * 3
            )
            for img in imgs
        ]

    return apply


def _shift(axis: int) -> Callable:
    """A translation by 0.45 of the side at most: two shifts by whole pixels, mixed."""

    def apply(imgs: Frames, level: float, sign: int, fill: int) -> list[np.ndarray]:
        side = imgs[0].shape[axis]
        distance = sign * 0.45 * level * side
        whole = math.floor(distance)
        part = distance - whole
        before, after = max(whole + 1, 0), max(-whole, 0)
        border = [before, after, 0, 0] if axis == 0 else [0, 0, before, after]

        def shift(img: np.ndarray) -> np.ndarray:
            img = cv2.copyMakeBorder(img, *border, cv2.BORDER_CONSTANT, value=[fill] * 3)
            near, far = (
                img[start : start + side] if axis == 0 else img[:, start : start + side]
                for start in (before - whole, before - whole - 1)
            )
            return cv2.addWeighted(near, 1 - part, far, part, 0)

        return [shift(img) for img in imgs]

    return apply


def _invert(imgs: Frames, *_: float) -> list[np.ndarray]:
    return [cv2.bitwise_not(img) for img in imgs]


def _posterize(imgs: Frames, level: float, *_: int) -> list[np.ndarray]:
    """As many of the highest bits kept as are left of 4."""
    return [img & (0xFF00 >> (4 - int(4 * level)) & 0xFF) for img in imgs]


def _rotation(level: float, width: int, height: int) -> np.ndarray:
    return cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 30 * level, 1)


# At magnitude 10: 30 degrees, shears of 0.3, shifts by 0.45 of the side, factors of 0.1 and 1.9.
OPERATIONS: dict[str, Callable] = {
    'auto_contrast': _stretch,
    'equalize': _equalize,
    'invert': _invert,
    'rotate': _warp(_rotation),
    'posterize': _posterize,
    'solarize': _lookup(lambda level: np.where(GREYS < 256 - int(256 * level), GREYS, 255 - GREYS)),
    'solarize_add': _lookup(lambda level: GREYS + (GREYS < 128) * min(128, int(110 * level))),
    'color': _blend(_grey),
    'contrast': _blend(_mean_grey),
    'brightness': _blend(np.zeros_like),
    'sharpness': _blend(_smooth),
    'shear_x': _warp(lambda level, w, h: np.array([[1, 0.3 * level, 0], [0, 1, 0]])),
    'shear_y': _warp(lambda level, w, h: np.array([[1, 0, 0], [0.3 * level, 1, 0]])),
    'translate_x': _shift(axis=1),
    'translate_y': _shift(axis=0),
}
