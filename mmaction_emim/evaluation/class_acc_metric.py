"""Accuracy by class and by motion, as a metric."""

from pathlib import Path

from mmaction.registry import METRICS
from mmengine.logging import print_log

from mmaction_emim.datasets.annotations import read_labels

from .checked_acc_metric import CheckedAccMetric
from .class_page import write_report
from .class_report import ClassReport


@METRICS.register_module()
class ClassAccMetric(CheckedAccMetric):
    """:class:`CheckedAccMetric` with accuracy by class and, for Something-Something, by motion.

    Adds ``acc/mean_class``; where names tell directions ``acc/left_right``, ``acc/up_down``,
    ``acc/towards_away``, ``acc/in_out``, ``acc/camera``, ``acc/pretend``, ``acc/real``, and
    ``acc/opposites_confused``, the share of clips that were taken for the opposite class.

    Args:
        label_map: Class names: ``label_map.txt`` or ``labels.json``.
        out_dir: Where ``classes.html``, ``classes.txt``, ``classes.png`` and ``confusion.png`` are
            written. Default None: nowhere.
        clips: Folder that the clips' names are relative to, for links. Default None: no links.
        kwargs: As :class:`CheckedAccMetric`'s.

    Raises:
        FileNotFoundError: ``label_map`` does not exist.
    """

    def __init__(
        self, label_map: str, out_dir: str | None = None, clips: str | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.names = read_labels(Path(label_map))
        self.out_dir, self.clips = out_dir, clips

    def compute_metrics(self, results: list[dict]) -> dict:
        """The numbers; also writes the files."""
        predicted = [-1 if r['failed'] else int(r['pred'].argmax()) for r in results]
        labels = [result['label'] for result in results]
        report = ClassReport(predicted, labels, self.names, self.clip_names(results))
        if self.out_dir:
            out = Path(self.out_dir)
            write_report(report, out, self.clips and Path(self.clips))
            print_log(f'accuracy by class: {out / "classes.html"}', 'current')
        return {**super().compute_metrics(results), **report.metrics()}
