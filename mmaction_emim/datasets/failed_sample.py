"""Data samples of clips that could not be read: what a network says of them is wrong."""

from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor


def wrong_scores(scores: Tensor | dict, label: Tensor) -> Tensor | dict:
    """Scores with which every true class comes last, and nothing stands out.

    They tell nothing of the given ones: those are of another clip's frames.

    Args:
        scores: (..., classes), floating point, or several such tensors by name.
        label: Labels, or the classes' 0 and 1 (classes,) where a clip has several.

    Returns:
        As ``scores``: its dtype's lowest number in the true classes, half of it in the others. Both
        are finite, since average precision subtracts them.
    """
    if isinstance(scores, dict):
        return {name: wrong_scores(each, label) for name, each in scores.items()}
    lowest = torch.finfo(scores.dtype).min
    out = torch.full_like(scores, lowest / 2)
    label = label.to(scores.device)
    several = label.numel() == scores.shape[-1] > 1
    out[..., label.bool() if several else label.long()] = lowest
    return out


class FailedSample(ActionDataSample):
    """A clip that could not be read, whose frames are another clip's.

    Whatever ``pred_score`` and ``pred_label`` it is given, it keeps wrong ones
    (:func:`wrong_scores`), so that it is wrong for any metric that reads them, and in dumps.
    """

    @classmethod
    def of(cls, sample: ActionDataSample) -> 'FailedSample':
        """A copy of a sample, marked with ``failed=True``."""
        failed = cls(metainfo={**dict(sample.metainfo_items()), 'failed': True})
        failed.set_data(dict(sample.items()))
        return failed

    def set_field(self, value: Any, name: str, *args: Any, **kwargs: Any) -> None:
        """As MMEngine's, which every assignment calls."""
        if name == 'pred_score' and 'gt_label' in self:
            value = wrong_scores(value, self.gt_label)
        elif name == 'pred_label' and isinstance(self.get('pred_score'), Tensor):
            value = self.pred_score.argmax(-1, keepdim=True)
        super().set_field(value, name, *args, **kwargs)
