"""Accuracy by class and by motion, and how often opposites are taken for each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmaction_emim.datasets.motion_groups import motion_groups, opposites


class ClassReport:
    """Counts over a test set.

    Args:
        predicted: Labels, one a clip; -1 for a clip that could not be read.
        labels: True ones.
        names: Class names, by label.

    Attributes:
        confusion: (classes, classes), clips of a row's class that were taken for a column's.
        counts: (classes,), clips of each class.
        groups: Labels of the classes of each motion group.
        pairs: Labels of opposite classes.
        failed: How many clips could not be read; they count as wrong.
    """

    def __init__(self, predicted: Sequence[int], labels: Sequence[int], names: Sequence[str]):
        predicted, labels = np.asarray(predicted), np.asarray(labels)
        most = max(predicted.max(initial=0), labels.max(initial=0))
        if most >= len(names):
            raise ValueError(f'label {most} has no name: the label map holds {len(names)}')
        self.names = list(names)
        self.confusion = np.zeros((len(names), len(names)), dtype=int)
        read = predicted >= 0
        np.add.at(self.confusion, (labels[read], predicted[read]), 1)
        self.counts = np.bincount(labels, minlength=len(names))
        self.failed = int((~read).sum())
        self.groups = motion_groups(names)
        self.pairs = opposites(names)

    def class_accuracy(self) -> np.ndarray:
        """(classes,), NaN for classes without a clip."""
        with np.errstate(invalid='ignore'):
            return self.confusion.diagonal() / self.counts

    def accuracy(self, classes: Sequence[int] | None = None) -> float:
        """Share of the clips of these classes (default: all) that were taken for their class."""
        chosen = slice(None) if classes is None else list(classes)
        return _share(self.confusion.diagonal()[chosen].sum(), self.counts[chosen].sum())

    def mean_class_accuracy(self) -> float:
        """Mean over the classes that have clips.

        MMAction2's ``mean_class_accuracy`` counts classes as 0 that were only predicted.
        """
        some = self.counts > 0
        return float(self.class_accuracy()[some].mean()) if some.any() else float('nan')

    def pair_confusion(self, pairs: Sequence[tuple[int, int]] | None = None) -> float:
        """Share of the clips of opposite classes that were taken for the opposite."""
        pairs = self.pairs if pairs is None else pairs
        swapped = sum(self.confusion[a, b] + self.confusion[b, a] for a, b in pairs)
        return _share(swapped, sum(self.counts[a] + self.counts[b] for a, b in pairs))

    def metrics(self) -> dict[str, float]:
        """Numbers for a log: mean class accuracy, that of each group, confusion of opposites."""
        groups = {name.replace('/', '_'): self.accuracy(c) for name, c in self.groups.items()}
        found = dict(mean_class=self.mean_class_accuracy(), **groups)
        if self.pairs:
            found['opposites_confused'] = self.pair_confusion()
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def text(self) -> str:
        """Tables: groups, opposites, classes from the worst to the best."""
        total, share = self.counts.sum(), self.accuracy()
        lines = [
            f'{total} clips, {self.failed} could not be read and count as wrong',
            f'top-1 {share:.4f}, mean class accuracy {self.mean_class_accuracy():.4f}',
        ]
        if self.groups:
            lines += ['', 'accuracy   clips  group']
        for name, classes in self.groups.items():
            lines.append(_row(self.accuracy(classes), self.counts[classes].sum(), name))
        if self.pairs:
            lines += ['', ' confused   clips  with the opposite']
        for a, b in self.pairs:
            count = self.counts[a] + self.counts[b]
            both = f'{self.names[a]} | {self.names[b]}'
            lines.append(_row(self.pair_confusion([(a, b)]), count, both))
        lines += ['', 'accuracy   clips  class']
        accuracy = self.class_accuracy()
        for label in np.argsort(accuracy, kind='stable'):  # NaN last
            name = f'{label} {self.names[label]}'
            lines.append(_row(accuracy[label], self.counts[label], name))
        return '\n'.join(lines) + '\n'

    def plot(self, path: Path) -> None:
        """Bars of the groups' accuracy, if there are any, and of the classes' sorted accuracy."""
        from matplotlib.figure import Figure  # without pyplot: no global state, no display

        figure = Figure(figsize=(10, 4), layout='constrained')
        axes = figure.subplots(1, 2 if self.groups else 1, squeeze=False)[0]
        accuracy = np.sort(self.class_accuracy()[self.counts > 0])
        axes[-1].bar(np.arange(len(accuracy)), accuracy, width=1)
        axes[-1].axhline(self.accuracy(), color='black', linewidth=1, label='top-1')
        axes[-1].set(xlabel='classes, sorted', ylabel='accuracy', ylim=(0, 1))
        axes[-1].legend()
        if self.groups:
            values = [self.accuracy(classes) for classes in self.groups.values()]
            axes[0].barh(list(self.groups), np.nan_to_num(values))
            axes[0].axvline(self.accuracy(), color='black', linewidth=1)
            axes[0].set(xlabel='accuracy', xlim=(0, 1))
            axes[0].invert_yaxis()
        figure.savefig(path, dpi=120)


def report_on(results: Sequence[Mapping], names: Sequence[str]) -> ClassReport:
    """The report on data samples: ``pred_score`` (classes,), ``gt_label``, perhaps ``failed``."""
    predicted = [-1 if r.get('failed') else int(r['pred_score'].argmax()) for r in results]
    return ClassReport(predicted, [int(r['gt_label']) for r in results], names)


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float('nan')


def _row(value: float, count: int, name: str) -> str:
    return f'{value:8.4f} {count:7}  {name}'
