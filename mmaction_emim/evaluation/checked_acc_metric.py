"""Accuracy that says how many clips could not be read."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS

from mmaction_emim.datasets.failed_sample import wrong_scores

TOP_K = re.compile(r'top(\d+)')  # the names of upstream's top-k accuracies


def failed_as_wrong(data_samples: Sequence[dict]) -> list[dict]:
    """The samples; those marked ``failed`` with :func:`.wrong_scores`."""
    return [
        {**sample, 'pred_score': wrong_scores(sample['pred_score'], sample['gt_label'])}
        if sample.get('failed')
        else sample
        for sample in data_samples
    ]


@METRICS.register_module()
class CheckedAccMetric(AccMetric):
    """:class:`mmaction.evaluation.AccMetric` that counts the clips which failed.

    They are wrong, as for every metric (:class:`.FailedSample`), also where another dataset only
    marks its samples ``failed``. Takes the same arguments. Adds ``acc/failed_clips``, a number;
    leaves out top-k accuracies for all classes or more, which are 1.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        super().process(data_batch, failed_as_wrong(data_samples))
        for result, sample in zip(self.results[-len(data_samples) :], data_samples, strict=True):
            result['failed'] = bool(sample.get('failed'))
            result['clip'] = sample.get('video_id')

    def compute_metrics(self, results: list[dict]) -> dict:
        failed = sum(result['failed'] for result in results)
        return {**super().compute_metrics(results), 'failed_clips': failed}

    def calculate(self, preds: list[np.ndarray], labels: list) -> dict:
        classes = len(preds[0])
        found = super().calculate(preds, labels).items()
        return {k: v for k, v in found if not (top := TOP_K.fullmatch(k)) or int(top[1]) < classes}

    @staticmethod
    def clip_names(results: list[dict]) -> list[str]:
        """The clips' names; none where the samples of some have no ``video_id``."""
        names = [result['clip'] for result in results]
        return [] if None in names else names
