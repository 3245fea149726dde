"""Clips whose backbone was run before: feature maps in the place of frames."""

from collections.abc import Callable, Sequence
from typing import Any

from mmaction.datasets import BaseActionDataset
from mmaction.registry import DATASETS
from mmengine.logging import print_log

from .checked import CheckedDatasetMixin
from .feature_maps import FeatureMaps

PIPELINE = (dict(type='LoadFeatureMap'), dict(type='PackActionInputs'))


@DATASETS.register_module()
class FeatureMapDataset(CheckedDatasetMixin, BaseActionDataset):
    """Feature maps that ``tools/extract_features.py --maps`` wrote, in the order of a list.

    In training one of the clip's views is drawn, from NumPy's stream; in tests the first is taken,
    with all its crops. A clip that could not be read when maps were made counts as failed here, as
    in :class:`.CheckedVideoDataset`.

    Args:
        ann_file: List, ``name label`` a line, with ``multi_class`` ``name label ...``, of all or
            some of the clips: ``OUT/SPLIT.txt``, or a part of it.
        data_prefix: ``dict(maps='SPLIT')``, the folder of maps.
        pipeline: Defaults to ``LoadFeatureMap``, ``PackActionInputs``.
        grid: (T, H, W) that the maps must have. Default None: any.
        test_mode: As upstream's. Default False.
        max_failed_share: See :class:`.CheckedDatasetMixin`. Default 0.01.
        kwargs: ``data_root``, ``num_classes``, ``multi_class`` and others of upstream's datasets.

    Attributes:
        maps: The folder's :class:`.FeatureMaps`.

    Raises:
        FileNotFoundError: The list or the folder is not there.
        ValueError: A line is wrong, clips of the list have no maps, or these have another grid.
    """

    def __init__(
        self,
        ann_file: str,
        data_prefix: dict,
        pipeline: Sequence[dict | Callable] = PIPELINE,
        grid: Sequence[int] | None = None,
        test_mode: bool = False,
        max_failed_share: float = 0.01,
        **kwargs: Any,
    ) -> None:
        for name in kwargs.keys() & {'num_repeats', 'left_right', 'allow_outside'}:
            raise TypeError(f'FeatureMapDataset: {name} has no effect on feature maps; remove it')
        if not isinstance(data_prefix, dict) or data_prefix.keys() != {'maps'}:
            raise ValueError(
                f"FeatureMapDataset: data_prefix must be dict(maps='FOLDER'), got {data_prefix!r}"
            )
        self.grid = grid
        super().__init__(
            ann_file=ann_file,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=test_mode,
            max_failed_share=max_failed_share,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        rows = self._read_list(('filename', 'label'), ' ', None)
        self.maps = FeatureMaps(self.data_prefix['maps'])
        shape = self.maps.shape
        if self.grid is not None and tuple(self.grid) != (shape.T, shape.H, shape.W):
            raise ValueError(
                f'{self.maps.folder}: the maps have a grid (T, H, W) of '
                f'{(shape.T, shape.H, shape.W)}, and the config says grid={tuple(self.grid)}'
            )
        names = [row['filename'] for row in rows]
        if missing := self.maps.missing(names):
            raise ValueError(
                f'{self.maps.folder}: no maps of {len(missing)} of the {len(names)} clips of '
                f'{self.ann_file}, such as {missing[0]}; tools/extract_features.py --maps goes on '
                'where it stopped'
            )
        print_log(f'feature maps: {self.maps}', logger='current')
        return [{**row, 'video_id': row['filename']} for row in rows]

    def get_data_info(self, idx: int) -> dict:
        """The row of a clip, with what ``LoadFeatureMap`` reads from."""
        return {**super().get_data_info(idx), 'maps': self.maps, 'test_mode': self.test_mode}
