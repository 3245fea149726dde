"""Average precision of clips with several labels, as a metric."""

from pathlib import Path

import numpy as np
from mmaction.registry import METRICS
from mmengine.logging import print_log

from mmaction_emim.datasets.annotations import read_labels

from .checked_acc_metric import CheckedAccMetric
from .class_page import write_report
from .multi_label_report import MultiLabelReport, check_threshold


@METRICS.register_module()
class MultiLabelMetric(CheckedAccMetric):
    """:class:`CheckedAccMetric` for data with ``multi_class=True`` and a head with a sigmoid.

    Gives ``acc/mean_average_precision`` (mAP), which is MMAction2's, and, over all clips and
    classes at the threshold, ``acc/precision``, ``acc/recall`` and ``acc/f1``.

    Args:
        label_map: Class names: ``label_map.txt`` or ``labels.json``. Default None: numbers.
        threshold: Probability from which on a class is said to be there, in (0, 1). Default 0.5.
        out_dir: Where each class's average precision is written, as by
            ``tools/analysis_tools/class_accuracy.py``. Default None: nowhere.
        clips: Folder that the clips' names are relative to, for links. Default None: no links.
        metric_list: Figures of MMAction2's: ``'mean_average_precision'`` and
            ``'mmit_mean_average_precision'``. Default: the first.
        kwargs: As :class:`CheckedAccMetric`'s.

    Raises:
        FileNotFoundError: ``label_map`` does not exist.
        ValueError: ``metric_list`` has figures of clips with one label, or the threshold is none.
    """

    def __init__(
        self,
        label_map: str | None = None,
        threshold: float = 0.5,
        out_dir: str | None = None,
        clips: str | None = None,
        metric_list: str | tuple[str, ...] = ('mean_average_precision',),
        **kwargs,
    ) -> None:
        super().__init__(metric_list=metric_list, **kwargs)
        if wrong := [name for name in self.metrics if not name.endswith('average_precision')]:
            raise ValueError(
                f'MultiLabelMetric: {wrong[0]} is of clips with one label; metric_list takes '
                'mean_average_precision and mmit_mean_average_precision'
            )
        check_threshold(threshold)
        self.names = read_labels(Path(label_map)) if label_map else None
        self.threshold, self.out_dir, self.clips = threshold, out_dir, clips

    def compute_metrics(self, results: list[dict]) -> dict:
        """The numbers; also writes the files."""
        scores, labels = (
            np.stack([result[key] for result in results]) for key in ('pred', 'label')
        )
        report = MultiLabelReport(
            scores,
            labels,
            self.names or [str(label) for label in range(scores.shape[1])],
            [result['failed'] for result in results],
            self.clip_names(results),
            self.threshold,
        )
        if self.out_dir:
            out = Path(self.out_dir)
            write_report(report, out, self.clips and Path(self.clips))
            print_log(f'average precision by class: {out / "classes.html"}', 'current')
        with np.errstate(invalid='ignore'):  # a class without a clip
            return {**super().compute_metrics(results), **report.metrics()}
