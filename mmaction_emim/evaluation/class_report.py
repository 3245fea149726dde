"""Accuracy by class and by motion, and how often opposites are taken for each other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure  # without pyplot: no global state, no display

from mmaction_emim.datasets.motion_groups import motion_groups, opposites

from .class_page import Table
from .class_pictures import bars_figure, confusion_figure

MOST = 20  # confusions that are listed
NAMED = 3  # clips of a confusion in the text; the page links to more


class Confusion(NamedTuple):
    """Clips of one class that were taken for another.

    Attributes:
        label: Their class.
        taken_for: The other.
        clips: Their numbers, in the order of the test.
        share: How much of the class's clips they are.
    """

    label: int
    taken_for: int
    clips: list[int]
    share: float


class ClassReport:
    """Counts over a test set.

    Args:
        predicted: Labels, one a clip; -1 for a clip that could not be read.
        labels: True ones.
        names: Class names, by label.
        clips: Names of the clips. Default: none.

    Raises:
        ValueError: A label has no name.

    Attributes:
        confusion: (classes, classes), clips of a row's class that were taken for a column's.
        counts: (classes,), clips of each class.
        groups: Labels of the classes of each motion group.
        pairs: Labels of opposite classes.
        failed: How many clips could not be read; they count as wrong.
    """

    def __init__(
        self,
        predicted: Sequence[int],
        labels: Sequence[int],
        names: Sequence[str],
        clips: Sequence[str] = (),
    ) -> None:
        predicted, labels = np.asarray(predicted), np.asarray(labels)
        most = max(predicted.max(initial=0), labels.max(initial=0))
        if most >= len(names):
            raise ValueError(f'label {most} has no name: the label map holds {len(names)}')
        self.names, self.clips = list(names), list(clips)
        self.predicted, self.labels = predicted, labels
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

    def confusions(self) -> list[Confusion]:
        """Pairs of classes, the one with the most clips first."""
        found: dict[tuple[int, int], list[int]] = {}
        wrong = (self.predicted >= 0) & (self.predicted != self.labels)
        for clip in np.flatnonzero(wrong):
            pair = int(self.labels[clip]), int(self.predicted[clip])
            found.setdefault(pair, []).append(int(clip))
        each = [Confusion(*x, clips, len(clips) / self.counts[x[0]]) for x, clips in found.items()]
        return sorted(each, key=lambda one: (-len(one.clips), -one.share, one[:2]))

    def text(self) -> str:
        """Tables: groups, opposites, the most frequent confusions, classes from the worst on."""
        lines = [*self.summary()]
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
        if confusions := self.confusions()[:MOST]:
            lines += ['', '   share   clips  class > taken for']
        for one in confusions:
            both = f'{self.names[one.label]} > {self.names[one.taken_for]}'
            named = ', '.join(self.clips[clip] for clip in one.clips[:NAMED] if self.clips)
            more = ', …' if named and len(one.clips) > NAMED else ''
            both += f': {named}{more}' if named else ''
            lines.append(_row(one.share, len(one.clips), both))
        lines += ['', 'accuracy   clips  class']
        for label, accuracy in self._worst_first():
            lines.append(_row(accuracy, self.counts[label], f'{label} {self.names[label]}'))
        return '\n'.join(lines) + '\n'

    def summary(self) -> list[str]:
        """How many clips, and the accuracies over all, in two lines."""
        return [
            f'{self.counts.sum()} clips, {self.failed} could not be read and count as wrong',
            f'top-1 {self.accuracy():.4f}, mean class accuracy {self.mean_class_accuracy():.4f}',
        ]

    def tables(self) -> list[Table]:
        """For :func:`.write_report`: confusions and classes, and the clips that were not read."""
        confusions = self.confusions()
        most = {one.label: one for one in reversed(confusions)}
        rows = [
            (self.names[x.label], self.names[x.taken_for], len(x.clips), x.share, self._of(x.clips))
            for x in confusions[:MOST]
        ]
        columns = ('class', 'taken for', 'clips', 'share of the class', 'which')
        found = [Table('Most frequent confusions', columns, rows)]
        rows = [
            (label, self.names[label], int(self.counts[label]), accuracy, *self._most(most, label))
            for label, accuracy in self._worst_first()
        ]
        columns = ('label', 'class', 'clips', 'accuracy', 'most often taken for', 'clips')
        found.append(Table('Classes, the worst first', columns, rows))
        if self.failed:
            unread = np.flatnonzero(self.predicted < 0).tolist()
            rows = [(self.names[self.labels[clip]], self._of([clip])) for clip in unread]
            found.append(Table('Could not be read', ('class', 'clip'), rows))
        return found

    def figures(self) -> dict[str, Figure]:
        """For :func:`.write_report`: accuracies and the confusion matrix."""
        groups = {name: self.accuracy(classes) for name, classes in self.groups.items()}
        some = np.flatnonzero(self.counts)
        names, mean = [self.names[i] for i in some], ('top-1', self.accuracy())
        accuracy = bars_figure(self.class_accuracy()[some], mean, names, 'accuracy', groups)
        unread = self.counts - self.confusion.sum(1)
        matrix = confusion_figure(self.confusion, unread, self.names)
        return {'classes.png': accuracy, 'confusion.png': matrix}

    def _worst_first(self) -> list[tuple[int, float]]:
        accuracy = self.class_accuracy()
        return [(int(i), float(accuracy[i])) for i in np.argsort(accuracy, kind='stable')]

    def _most(self, most: Mapping[int, Confusion], label: int) -> tuple[str, int | str]:
        one = most.get(label)
        return (self.names[one.taken_for], len(one.clips)) if one else ('', '')

    def _of(self, clips: Sequence[int]) -> list[str]:
        return [self.clips[clip] if self.clips else f'clip {clip}' for clip in clips]


def report_on(results: Sequence[Mapping], names: Sequence[str]) -> ClassReport:
    """The report on data samples.

    Args:
        results: Each with ``pred_score`` (classes,), ``gt_label`` (1,), perhaps ``failed`` and
            ``video_id``, as :func:`.load_dump` gives them.
        names: Class names, by label.

    Raises:
        ValueError: A clip has several labels, or one without a name.
    """
    if any(result['gt_label'].numel() != 1 for result in results):
        raise ValueError('ClassReport: clips have several labels, which MultiLabelReport is for')
    predicted = [-1 if r.get('failed') else int(r['pred_score'].argmax()) for r in results]
    clips = [result['video_id'] for result in results if 'video_id' in result]
    labels = [int(result['gt_label']) for result in results]
    return ClassReport(predicted, labels, names, clips if len(clips) == len(results) else ())


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float('nan')


def _row(value: float, count: int, name: str) -> str:
    return f'{value:8.4f} {count:7}  {name}'
