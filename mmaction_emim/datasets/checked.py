"""MMAction2's video and raw-frame datasets that check their list and survive clips that fail."""

import codecs
import copy
import os
import os.path as osp
import re
from typing import Any

import numpy as np
import torch
from mmaction.datasets import RawframeDataset, VideoDataset
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from mmengine.fileio import exists, get
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from .failed_sample import FailedSample
from .reader import VIDEO_SUFFIXES

MAX_SUBSTITUTES = 100  # clips in a row that fail in a test before it ends
MAX_WORKERS = 256  # of which it is known what they read


class ClipError(RuntimeError):
    """A clip that cannot be read or transformed; the message names it."""


class CheckedDatasetMixin:
    """Mixin: a strict reader of annotation lists, clips that fail, repeated augmentation.

    A clip that cannot be read or transformed is logged once. In training another one is drawn, from
    NumPy's stream. In tests the clip keeps its place and its label, and gets the next one's frames;
    its data sample is a :class:`.FailedSample`, which is wrong for every metric.

    Args:
        max_failed_share: Training ends once more than this share of the clips failed, in one
            process and its workers. Default 0.01; with 0 the first one ends it.
        num_repeats: Every clip is decoded once and augmented this many times: an item is a list.
            Needs ``collate_fn=dict(type='repeat_pseudo_collate')``. Training only. Default 1.
        left_right: Labels say left or right, so that a ``Flip`` needs its ``flip_label_map``.
            Default False. The map is of single labels: with ``multi_class`` no ``Flip`` is taken.
        allow_outside: Whether paths in the list may lead out of the folder that ``data_root`` and
            ``data_prefix`` give, by ``..`` or as absolute ones. Default False. Without a folder
            every path is taken.

    Attributes:
        failed: bool tensor (clips,), shared with the workers: which clips failed so far.
    """

    def __init__(
        self,
        *args: Any,
        max_failed_share: float = 0.01,
        num_repeats: int = 1,
        left_right: bool = False,
        allow_outside: bool = False,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if not 0 <= max_failed_share <= 1:
            raise ValueError(f'{name}: max_failed_share must be 0 to 1, got {max_failed_share!r}')
        if not isinstance(num_repeats, int) or num_repeats < 1:
            raise ValueError(
                f'{name}: num_repeats must be an integer of 1 or more, got {num_repeats!r}'
            )
        self.max_failed_share = max_failed_share
        self.num_repeats = num_repeats
        self.allow_outside = allow_outside
        super().__init__(*args, **kwargs)
        flips = [step for step in self.pipeline.transforms if getattr(step, 'flip_ratio', 0)]
        if num_repeats > 1 and self.test_mode:
            raise ValueError(f'{name}: num_repeats is for training, got {num_repeats} in test mode')
        if self.multi_class and any(left_right or step.flip_label_map for step in flips):
            raise ValueError(
                f'{name}: Flip changes single labels only, not those of multi_class=True, and the '
                f'labels of {self.ann_file} say left and right; remove Flip'
            )
        for step in flips if left_right else ():
            if not step.flip_label_map:
                raise ValueError(
                    f'{name}: the labels of {self.ann_file} say left and right, so Flip needs a '
                    'flip_label_map; configs/_base_/datasets/sthv1.py and sthv2.py hold theirs'
                )

    def full_init(self) -> None:
        super().full_init()
        if not hasattr(self, 'failed'):
            self.failed = torch.zeros(len(self), dtype=torch.bool).share_memory_()
            self._at = torch.full((MAX_WORKERS, 2), -1).share_memory_()  # their process and clip

    def __deepcopy__(self, memo: dict) -> 'CheckedDatasetMixin':
        """MMEngine copies a dataset that it is given built; a copy shares with its workers too."""
        copied = memo[id(self)] = object.__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        if hasattr(copied, 'failed'):
            copied.failed.share_memory_()
            copied._at.share_memory_()
        return copied

    def _read_list(
        self, columns: tuple[str, ...], delimiter: str | None, prefix: str | None
    ) -> list[dict]:
        """The rows of ``ann_file``; the last column is the label, with ``multi_class`` a list.

        Args:
            columns: Names of a line's values.
            delimiter: Between them. None: any white space.
            prefix: Folder that the paths, in the first column, are relative to.
        """
        if self.multi_class and (self.num_classes or 0) < 2:  # upstream squeezes a single one
            raise ValueError(
                f'{type(self).__name__}: multi_class=True needs num_classes of 2 or more, '
                f'got {self.num_classes}'
            )
        if not exists(self.ann_file):
            raise FileNotFoundError(
                f'{self.ann_file}: no such annotation list (ann_file of {type(self).__name__}); '
                'see data/README.md for the layout'
            )
        rows = []
        text = get(self.ann_file).removeprefix(codecs.BOM_UTF8)
        for number, line in enumerate(text.splitlines(), start=1):
            where = f'{self.ann_file}:{number}'
            try:
                line = line.decode('utf-8').strip()
            except UnicodeDecodeError as error:
                raise ValueError(f'{where}: expected UTF-8 text, got {line!r}') from error
            if line:
                if self.multi_class:
                    values = _several(line, delimiter)
                else:  # from the right, since a path may hold the delimiter
                    values = line.rsplit(delimiter, len(columns) - 1)
                    _check_one_label(values[0], line, where)
                rows.append(self._parse(values, columns, where, delimiter or ' '))
                self._check_path(rows[-1][columns[0]], prefix, where)
        if not rows:
            raise ValueError(f'{self.ann_file}: the annotation list holds no clip')
        return rows

    def _check_path(self, path: str, prefix: str | None, where: str) -> None:
        if self.allow_outside or not prefix:
            return
        folder = osp.normpath(prefix)
        inside = osp.normpath(osp.join(prefix, path))
        if folder == '.':
            outside = osp.isabs(inside) or inside.split(os.sep)[0] == os.pardir
        else:
            outside = not inside.startswith(folder.rstrip(os.sep) + os.sep)
        if outside:
            raise ValueError(
                f'{where}: {path!r} leads out of {prefix!r}; allow_outside=True of '
                f'{type(self).__name__} takes such paths'
            )

    def _parse(
        self, values: list[str], columns: tuple[str, ...], where: str, delimiter: str
    ) -> dict:
        if len(values) < len(columns) or not values[0].strip():
            expected = delimiter.join([*columns, 'label ...'] if self.multi_class else columns)
            raise ValueError(f'{where}: expected {expected!r}, got {delimiter.join(values)!r}')
        numbers, labels = [], []
        for i, value in enumerate(values[1:], start=1):
            name = columns[min(i, len(columns) - 1)]
            if not re.fullmatch(r'-?[0-9]+', value.strip()):
                raise ValueError(f'{where}: {name} must be an integer, got {value!r}')
            if name != 'label' and int(value) < 0:
                raise ValueError(f'{where}: {name} must be an integer of 0 or more, got {value}')
            (labels if name == 'label' else numbers).append(int(value))
        for label in labels:
            if label < 0 or (self.num_classes and label >= self.num_classes):
                most = f'to {self.num_classes - 1} (num_classes={self.num_classes})'
                raise ValueError(
                    f'{where}: label must be 0 {most if self.num_classes else "or more"}, '
                    f'got {label}'
                )
        row = dict(zip(columns, [values[0].strip(), *numbers], strict=False))
        return {**row, 'label': labels if self.multi_class else labels[0]}

    def path(self, idx: int) -> str:
        """Path of the clip, as the list and ``data_prefix`` give it."""
        info = self.get_data_info(idx)
        return info.get('filename') or info.get('frame_dir')

    def prepare_data(self, idx: int) -> Any:
        """One clip through the pipeline, or what is taken for it.

        Raises:
            ClipError: Too many clips failed; the message names the last one and the cause.
        """
        try:
            return self._prepare(idx)
        finally:
            self._note(-1)

    def _prepare(self, idx: int) -> Any:
        chosen, error = idx, None
        for tried in range(min(MAX_SUBSTITUTES, len(self)) if self.test_mode else len(self)):
            self._note(chosen)
            try:
                data = self._run_pipeline(chosen)
            except Exception as cause:
                error = self._failure(chosen, cause)
                if self.test_mode:
                    chosen = (idx + tried + 1) % len(self)
                else:
                    chosen = int(np.random.randint(len(self)))
            else:
                return self._substitute(data, idx) if error and self.test_mode else data
        raise error

    def _note(self, idx: int) -> None:
        """Write down which clip this worker is at; -1: none."""
        if (worker := get_worker_info()) and worker.id < len(self._at):
            self._at[worker.id, 0], self._at[worker.id, 1] = os.getpid(), idx

    def clip_of_process(self, pid: int) -> str | None:
        """Path of the clip that a worker is, or was, reading; None where it is at none.

        Args:
            pid: Number of the worker's process.
        """
        noted = self._at.tolist() if self._fully_initialized else ()
        at = [idx for process, idx in noted if process == pid and idx >= 0]
        return self.path(at[0]) if at else None

    def _failure(self, idx: int, cause: Exception) -> ClipError:
        """Note the clip; raises where too many failed, or all did."""
        if gone := self._gone():
            raise ClipError(
                f'{self.path(idx)}: clip {idx} of {self.ann_file} cannot be read, nor any other: '
                f'the folder {gone} is gone or empty'
            ) from cause
        first = next((line for line in str(cause).splitlines() if line.strip()), '')
        message = (
            f'{self.path(idx)}: clip {idx} of {self.ann_file} cannot be read or transformed: '
            f'{type(cause).__name__}: {first}'
        )
        new = not self.failed[idx]
        self.failed[idx] = True
        error = ClipError(message)
        error.__cause__ = cause
        count = int(self.failed.sum())
        if not self.test_mode and count > self.max_failed_share * len(self):
            raise ClipError(
                f'{message}; {count} of {len(self)} clips failed, '
                f'max_failed_share is {self.max_failed_share}'
            ) from cause
        if new:
            print_log(message, logger='current', level=30)  # a warning
        return error

    def _gone(self) -> str | None:
        """The folder of the clips, where it is no longer there, or empty as without its mount."""
        for folder in filter(None, self.data_prefix.values()):
            if not exists(folder) or (osp.isdir(folder) and not any(os.scandir(folder))):
                return folder.rstrip('/')
        return None

    def _run_pipeline(self, idx: int) -> Any:
        data = self.get_data_info(idx)
        if self.num_repeats == 1:
            data = self.pipeline(data)
            if data is None:
                raise ValueError('the pipeline gave no clip')
            return data
        steps = list(self.pipeline.transforms)
        while 'imgs' not in data:
            if not steps:
                raise ValueError('num_repeats: no transform of the pipeline gives imgs')
            data = steps.pop(0)(data)
        views = []
        for repeat in range(self.num_repeats, 0, -1):
            view = dict(data)
            # Flip and RandomErasing write into the frames.
            if repeat > 1 and not (steps and getattr(steps[0], 'copies_frames', False)):
                view['imgs'] = [img.copy() for img in data['imgs']]
            for step in steps:
                view = step(view)
            views.append(view)
        return views

    def _substitute(self, data: dict, idx: int) -> dict:
        """Another clip's ``data`` with the label and meta information of clip ``idx``."""
        info = self.get_data_info(idx)
        if 'data_samples' not in data:
            return {**data, **info, 'failed': True}
        sample = data['data_samples']
        own = {key: info[key] for key in sample.metainfo_keys() if key in info}
        sample.set_metainfo({**own, 'failed': True})
        sample.set_gt_label(info['label'])
        if type(sample) is ActionDataSample:
            data['data_samples'] = FailedSample.of(sample)
        return data


def _several(line: str, delimiter: str | None) -> list[str]:
    """The values of a line with any number of labels; a video's path may hold the delimiter."""
    match = re.match(rf'(.*\.\w+){re.escape(delimiter or " ")}(.*)', line)
    if match and osp.splitext(match[1])[1].lower() in VIDEO_SUFFIXES:
        return [match[1], *match[2].split(delimiter)]
    return line.split(delimiter)


def _check_one_label(path: str, line: str, where: str) -> None:
    """A path may hold spaces, but no video is called ``clip.mp4 3``."""
    match = re.search(r'(\.\w+)(?:[\s,]+[0-9]+)+$', path)
    if match and match[1].lower() in VIDEO_SUFFIXES:
        raise ValueError(f'{where}: several labels a line need multi_class=True, got {line!r}')


@DATASETS.register_module()
class CheckedVideoDataset(CheckedDatasetMixin, VideoDataset):
    """:class:`mmaction.datasets.VideoDataset` with its list checked; survives clips that fail.

    Takes the same arguments, ``max_failed_share``, ``num_repeats``, ``left_right`` and
    ``allow_outside``: see :class:`.CheckedDatasetMixin`. A path may hold spaces, with
    ``multi_class`` where it has a video's suffix. With ``num_classes`` every label must be below
    it.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: A line is not ``filename label``, with ``multi_class`` ``filename label ...``;
            the message gives file and line.
    """

    def load_data_list(self) -> list[dict]:
        rows = self._read_list(('filename', 'label'), self.delimiter, self.data_prefix['video'])
        for row in rows:
            row['video_id'] = row['filename']
            row['filename'] = osp.join(self.data_prefix['video'] or '', row['filename'])
        return rows


@DATASETS.register_module()
class CheckedRawframeDataset(CheckedDatasetMixin, RawframeDataset):
    """:class:`mmaction.datasets.RawframeDataset` with its list checked; survives clips that fail.

    Takes the same arguments, ``max_failed_share``, ``num_repeats``, ``left_right`` and
    ``allow_outside``: see :class:`.CheckedDatasetMixin`. A path may hold spaces, but not with
    ``multi_class``. With ``num_classes`` every label must be below it.

    Raises:
        FileNotFoundError: ``ann_file`` does not exist.
        ValueError: A line is not ``frame_dir total_frames label``, with ``with_offset``
            ``frame_dir offset total_frames label``, with ``multi_class`` ``label ...`` at its end;
            the message gives file and line.
    """

    def load_data_list(self) -> list[dict]:
        offset = ('offset',) if self.with_offset else ()
        columns = ('frame_dir', *offset, 'total_frames', 'label')
        rows = self._read_list(columns, None, self.data_prefix['img'])
        for row in rows:
            row['video_id'] = row['frame_dir']
            row['frame_dir'] = osp.join(self.data_prefix['img'] or '', row['frame_dir'])
        return rows
