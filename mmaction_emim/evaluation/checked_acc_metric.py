"""Accuracy that counts clips which could not be read as wrong."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS

TOP_K = re.compile(r'top(\d+)')  # the names of upstream's top-k accuracies


def failed_as_wrong(data_samples: Sequence[dict]) -> list[dict]:
    """The samples; in those marked ``failed`` the true class, or each, has the lowest score."""
    out = []
    for sample in data_samples:
        if sample.get('failed'):
            score, true = sample['pred_score'].clone(), sample['gt_label']
            if true.numel() == 1:
                score[true] = -torch.inf
            else:  # one-hot, for average precision, which subtracts scores
                score[true.bool()] = torch.finfo(score.dtype).min
            sample = {**sample, 'pred_score': score}
        out.append(sample)
    return out


@METRICS.register_module()
class CheckedAccMetric(AccMetric):
    """:class:`mmaction.evaluation.AccMetric` in which failed clips are wrong, and counted.

    Takes the same arguments. Adds ``acc/failed_clips``, a number of clips; leaves out top-k
    accuracies for all classes or more, which are 1.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        super().process(data_batch, failed_as_wrong(data_samples))
        for result, sample in zip(self.results[-len(data_samples) :], data_samples, strict=True):
            result['failed'] = bool(sample.get('failed'))

    def compute_metrics(self, results: list[dict]) -> dict:
        failed = sum(result['failed'] for result in results)
        return {**super().compute_metrics(results), 'failed_clips': failed}

    def calculate(self, preds: list[np.ndarray], labels: list) -> dict:
        classes = len(preds[0])
        found = super().calculate(preds, labels).items()
        return {k: v for k, v in found if not (top := TOP_K.fullmatch(k)) or int(top[1]) < classes}
