"""Random erasing with Gaussian noise: one box a clip, noise of its own in every frame."""

import cv2
import numpy as np
from mmaction.datasets.transforms.processing import RandomErasing
from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class NoiseErasing(RandomErasing):
    """:class:`mmaction.datasets.transforms.RandomErasing` with noise drawn by OpenCV.

    About ten times as fast as ``mode='rand'`` with ``fill_std``. The defaults are the noise that is
    standard normal after normalisation by mean .45 and standard deviation .225.

    Upstream's private ``_fill_pixels`` is replaced.

    Args:
        erase_prob: Probability that a clip is erased. Default 0.25.
        fill_color: Mean of the noise, of 255. Default 114.75.
        fill_std: Its standard deviation. Default 57.375.
        kwargs: Upstream's ``min_area_ratio``, ``max_area_ratio``, ``aspect_range``.
    """

    def __init__(
        self,
        erase_prob: float = 0.25,
        fill_color: float = 114.75,
        fill_std: float = 57.375,
        **kwargs,
    ) -> None:
        super().__init__(
            erase_prob=erase_prob, mode='rand', fill_color=fill_color, fill_std=fill_std, **kwargs
        )

    def _fill_pixels(
        self, imgs: list[np.ndarray], top: int, left: int, h: int, w: int
    ) -> list[np.ndarray]:
        cv2.setRNGSeed(np.random.randint(2**31))
        for img in imgs:
            patch = np.empty((h, w, 3), np.uint8)
            cv2.randn(patch, tuple(self.fill_color), tuple(self.fill_std))
            img[top : top + h, left : left + w] = patch
        return imgs
