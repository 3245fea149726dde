"""Feature maps in the place of decoded frames."""

from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

FORMATS = ('NCTHW', 'NCHW')


@TRANSFORMS.register_module()
class LoadFeatureMap(BaseTransform):
    """Reads a clip's maps, as a :class:`.FeatureMapDataset` names it, to ``imgs``.

    In training one of the views is drawn, from NumPy's stream, where there are several; in tests
    the first is taken.

    Args:
        input_format: ``'NCTHW'`` (default): (crops, C, T, H, W), for ``Recognizer3D``; ``'NCHW'``:
            (crops * T, C, H, W), for ``Recognizer2D``.

    Raises:
        ValueError: ``input_format`` is none of these; from the call, the file is damaged.
    """

    def __init__(self, input_format: str = 'NCTHW') -> None:
        if input_format not in FORMATS:
            raise ValueError(
                f'LoadFeatureMap: input_format must be NCTHW or NCHW, got {input_format!r}'
            )
        self.input_format = input_format

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Sets ``imgs``, in the dtype of the file, ``img_shape`` (H, W) and ``input_shape``."""
        shape, draw = results['maps'].shape, 0
        if not results['test_mode'] and shape.draws > 1:
            draw = int(np.random.randint(shape.draws))
        maps = results['maps'].read(results['filename'], draw)  # (crops, T, C, H, W)
        if self.input_format == 'NCTHW':
            maps = np.ascontiguousarray(maps.swapaxes(1, 2))
        else:
            maps = maps.reshape(-1, *maps.shape[2:])
        return {
            **results,
            'imgs': maps,
            'img_shape': (shape.H, shape.W),
            'input_shape': maps.shape,
        }

    def __repr__(self) -> str:
        return f'LoadFeatureMap(input_format={self.input_format!r})'
