"""Reads what ``tools/test.py --dump`` wrote, as data: no code that a pickle names is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmaction_emim.utils.finite import check_finite

from .plain_pickle import load_plain

_WHY = 300  # characters of the cause in an error


def load_dump(path: Path) -> list[dict]:
    """The data samples: ``pred_score`` (classes,), ``gt_label`` (1,), ``video_id``, ``failed``.

    ``gt_label`` is int64, or float32 (classes,), 0 and 1, of clips with several labels
    (:func:`has_several_labels`). The last two are there where a dataset of this project was tested,
    ``failed`` where it is True.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is none that ``tools/test.py --dump`` writes, or holds scores that are
            not finite.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        results = load_plain(data)
    except Exception as error:
        why = ' '.join(str(error).split())[:_WHY]  # torch's and pickle's take several lines
        raise ValueError(f'{path}: not a dump of tools/test.py: {why}') from error
    fields = {'pred_score', 'gt_label'}
    if not isinstance(results, list) or not results:
        raise ValueError(f'{path}: not a dump of tools/test.py: expected a list of results')
    shape = None
    for number, result in enumerate(results):
        if not isinstance(result, dict) or not fields <= result.keys():
            raise ValueError(f'{path}: result {number} has no pred_score and gt_label')
        score, label = result['pred_score'], result['gt_label']
        shape = getattr(score, 'shape', None) if shape is None else shape
        if not (_is(score, Tensor.is_floating_point) and score.dim() and score.shape == shape):
            raise ValueError(
                f'{path}: pred_score of result {number} must be a tensor of one score a class, as '
                'all of them are'
            )
        one = _is(label, lambda x: x.dtype == torch.int64 and x.numel())
        several = _is(label, Tensor.is_floating_point) and label.shape == score.shape[-1:]
        if not (one or (several and bool(((label == 0) | (label == 1)).all()))):
            raise ValueError(f'{path}: gt_label of result {number} must be a tensor of labels')
        if not isinstance(result.get('video_id', ''), str):
            raise ValueError(f'{path}: video_id of result {number} must be a text')
        if not result.get('failed'):
            try:
                check_finite(score, result.get('video_id', f'result {number}'))
            except FloatingPointError as error:
                raise ValueError(f'{path}: {error}') from None
    return results


def has_several_labels(results: Sequence[dict]) -> bool:
    """Whether ``gt_label`` of these data samples has a 0 or 1 for each class."""
    return results[0]['gt_label'].is_floating_point()


def _is(value: Any, condition: Any) -> bool:
    return isinstance(value, Tensor) and bool(condition(value))
