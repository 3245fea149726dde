"""MMAction2's video and raw-frame datasets that check their list and name a clip that fails."""

import os.path as osp
import random
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmaction.datasets import RawframeDataset, VideoDataset
from mmaction.registry import DATASETS
from mmengine.fileio import exists, list_from_file


class ClipError(RuntimeError):
    """A clip that cannot be read or transformed; the message names it."""


class _Checked:
    """Mixin: a strict reader of annotation lists, repeats, and errors that name the clip."""

    columns: tuple[str, ...]  # of a line; the last is the label

    def __init__(self, *args: Any, num_repeats: int = 1, **kwargs: Any) -> None:
        if not isinstance(num_repeats, int) or num_repeats < 1:
            raise ValueError(
                f'{type(self).__name__}: num_repeats must be an integer of 1 or more, '
                f'got {num_repeats!r}'
            )
        self.num_repeats = num_repeats
        self._epoch_seed = torch.full((1,), -1).share_memory_()  # workers see it change
        super().__init__(*args, **kwargs)

    def _read_list(self, delimiter: str) -> list[dict]:
        if not exists(self.ann_file):
            raise FileNotFoundError(
                f'{self.ann_file}: no such annotation list (ann_file of {type(self).__name__}); '
                'see data/README.md for the layout'
            )
        rows = []
        for number, line in enumerate(list_from_file(self.ann_file), start=1):
            if line.strip():
                # From the right, since a path may hold the delimiter.
                values = line.strip().rsplit(delimiter, len(self.columns) - 1)
                rows.append(self._parse(values, f'{self.ann_file}:{number}', delimiter))
        if not rows:
            raise ValueError(f'{self.ann_file}: the annotation list holds no clip')
        return rows

    def _parse(self, values: list[str], where: str, delimiter: str) -> dict:
        if len(values) != len(self.columns) or not values[0].strip():
            expected = delimiter.join(self.columns)
            raise ValueError(f'{where}: expected {expected!r}, got {delimiter.join(values)!r}')
        row = {self.columns[0]: values[0].strip()}
        for name, value in zip(self.columns[1:], values[1:], strict=True):
            try:
                row[name] = int(value)
            except ValueError:
                raise ValueError(f'{where}: {name} must be an integer, got {value!r}') from None
        if row['label'] < 0 or (self.num_classes and row['label'] >= self.num_classes):
            most = f'to {self.num_classes - 1} (num_classes={self.num_classes})'
            raise ValueError(
                f'{where}: label must be 0 {most if self.num_classes else "or more"}, '
                f'got {row["label"]}'
            )
        return row

    def set_epoch(self, seed: int) -> None:
        """From now on the draws of a clip's transforms depend on ``seed`` and the clip alone."""
        self._epoch_seed.fill_(seed)

    def prepare_data(self, idx: int) -> Any:
        """One clip through the pipeline; with repeats, a list of so many.

        Raises:
            ClipError: The pipeline failed; the message names the clip and the cause.
        """
        if (seed := int(self._epoch_seed)) >= 0 and not self.test_mode:
            draws = np.random.SeedSequence((seed, idx)).generate_state(2)
            np.random.seed(draws[0])
            random.seed(int(draws[1]))
        try:
            return super().prepare_data(idx) if self.num_repeats == 1 else self._repeat(idx)
        except Exception as error:
            info = self.get_data_info(idx)
            clip = info.get('filename') or info.get('frame_dir')
            cause = next((line for line in str(error).splitlines() if line.strip()), '')
            raise ClipError(
                f'{clip}: clip {idx} of {self.ann_file} cannot be read or transformed: '
                f'{type(error).__name__}: {cause}'
            ) from error

    def _repeat(self, idx: int) -> list[dict]:
        """Decode once, augment ``num_repeats`` times."""
        steps = self.pipeline.transforms
        decoded = [i for i, step in enumerate(steps) if type(step).__name__.endswith('Decode')]
        if not decoded:
            raise ValueError('num_repeats: no step of the pipeline decodes')
        split = decoded[-1] + 1
        results = self.get_data_info(idx)
        for step in steps[:split]:
            results = step(results)
        repeats = [*(deepcopy(results) for _ in range(self.num_repeats - 1)), results]
        for step in steps[split:]:
            repeats = [step(repeat) for repeat in repeats]
        return repeats


@DATASETS.register_module()
class CheckedVideoDataset(_Checked, VideoDataset):
    """:class:`mmaction.datasets.VideoDataset` with its list checked.

    Takes the same arguments. A path may hold spaces. With ``num_classes`` every label must be
    below it. ``num_repeats`` (default 1) is repeated augmentation: each clip is decoded once and
    augmented so often; its dataloader needs ``collate_fn=dict(type='repeat_pseudo_collate')``.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: A line is not ``filename label``; the message gives file and line.
    """

    columns = ('filename', 'label')

    def load_data_list(self) -> list[dict]:
        if self.multi_class:
            return super().load_data_list()
        rows = self._read_list(self.delimiter)
        for row in rows:
            row['filename'] = osp.join(self.data_prefix['video'] or '', row['filename'])
        return rows


@DATASETS.register_module()
class CheckedRawframeDataset(_Checked, RawframeDataset):
    """:class:`mmaction.datasets.RawframeDataset` with its list checked.

    Takes the same arguments. With ``num_classes`` every label must be below it. ``num_repeats`` as
    in :class:`CheckedVideoDataset`.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: A line is not ``frame_dir total_frames label``; the message gives file and
            line.
    """

    columns = ('frame_dir', 'total_frames', 'label')

    def load_data_list(self) -> list[dict]:
        if self.multi_class or self.with_offset:
            return super().load_data_list()
        rows = self._read_list(' ')
        for row in rows:
            row['frame_dir'] = osp.join(self.data_prefix['img'] or '', row['frame_dir'])
        return rows
