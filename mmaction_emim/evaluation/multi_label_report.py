"""Average precision by class, and what is right at a threshold, of clips with several labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from mmaction.evaluation import mean_average_precision

from mmaction_emim.datasets.failed_sample import wrong_scores

from .class_page import Table
from .class_pictures import bars_figure

MOST = 30  # mistakes that are listed, of either kind


class MultiLabelReport:
    """Scores over a test set.

    Args:
        scores: (clips, classes), logits: a class is said to be there where their sigmoid is at or
            above ``threshold``.
        labels: (clips, classes), 0 and 1.
        names: Class names.
        failed: (clips,), which could not be read. Their scores must be :func:`.wrong_scores`, with
            which they have no class. Default: none.
        clips: Names of the clips. Default: none.
        threshold: In (0, 1). Default 0.5.

    Raises:
        ValueError: The number of names is another than that of classes, or the threshold is not as
            above.

    Attributes:
        average_precision: (classes,), MMAction2's; NaN for classes without a clip.
        counts: (classes,), clips of each.
        precision: (classes,), share of the clips that were said to have the class which do; NaN.
        recall: (classes,), share of its clips that were said to have it; NaN.
    """

    def __init__(
        self,
        scores: np.ndarray,
        labels: np.ndarray,
        names: Sequence[str],
        failed: Sequence[bool] = (),
        clips: Sequence[str] = (),
        threshold: float = 0.5,
    ) -> None:
        scores, self.labels = np.asarray(scores, np.float32), np.asarray(labels) == 1
        check_threshold(threshold)
        if len(names) != scores.shape[1]:
            raise ValueError(f'{len(names)} names of classes, but {scores.shape[1]} scores a clip')
        self.names, self.clips, self.threshold = list(names), list(clips), threshold
        self.failed = np.array(failed or [False] * len(scores))
        self.probabilities = torch.from_numpy(scores).sigmoid().numpy()
        self.said = self.probabilities >= threshold
        self.counts = self.labels.sum(0)
        right = (self.said & self.labels).sum(0)
        with np.errstate(invalid='ignore'):
            self.average_precision = np.array(
                [
                    mean_average_precision(scores[:, [i]], self.labels[:, [i]])
                    for i in range(len(names))
                ]
            )
            self.precision, self.recall = right / self.said.sum(0), right / self.counts

    def mean_average_precision(self) -> float:
        """Mean over the classes that have clips; NaN where none has."""
        known = self.average_precision[self.counts > 0]
        return float(known.mean()) if len(known) else float('nan')

    def metrics(self) -> dict[str, float]:
        """``precision``, ``recall`` and ``f1`` over all clips and classes, at the threshold."""
        right = int((self.said & self.labels).sum())
        said, true = int(self.said.sum()), int(self.labels.sum())
        return dict(
            precision=right / said if said else 0.0,
            recall=right / true if true else 0.0,
            f1=2 * right / (said + true) if said + true else 0.0,
        )

    def summary(self) -> list[str]:
        """How many clips, and the figures over all, in three lines."""
        at = self.metrics()
        return [
            f'{len(self.labels)} clips of {self.labels.sum(1).mean():.2f} labels on average, '
            f'{int(self.failed.sum())} could not be read and count as wrong',
            f'mean average precision {self.mean_average_precision():.4f}',
            f'at a probability of {self.threshold:g}: precision {at["precision"]:.4f}, '
            f'recall {at["recall"]:.4f}, F1 {at["f1"]:.4f}',
        ]

    def text(self) -> str:
        """The summary, and classes from the worst average precision on."""
        lines = [*self.summary(), '', '      AP  precision   recall   clips  class']
        for label in self._worst_first():
            figures = self.average_precision[label], self.precision[label], self.recall[label]
            ap, precision, recall = ('-' if np.isnan(x) else f'{x:.4f}' for x in figures)
            name = f'{label} {self.names[label]}'
            lines.append(f'{ap:>8} {precision:>10} {recall:>8} {self.counts[label]:7}  {name}')
        return '\n'.join(lines) + '\n'

    def tables(self) -> list[Table]:
        """For :func:`.write_report`: classes, and the mistakes that were most sure."""
        rows = [
            (
                label, self.names[label], int(self.counts[label]),
                float(self.average_precision[label]), float(self.precision[label]),
                float(self.recall[label]),
            )
            for label in self._worst_first()
        ]  # fmt: skip
        columns = ('label', 'class', 'clips', 'AP', 'precision', 'recall')
        found = [Table('Classes, the worst first', columns, rows)]
        read = ~self.failed[:, None]
        kinds = {
            'Said to be there, and not labelled': (self.said & ~self.labels & read, -1),
            'Labelled, and not seen': (~self.said & self.labels & read, 1),
        }
        for title, (wrong, sign) in kinds.items():
            where = np.argwhere(wrong)
            order = np.argsort(sign * self.probabilities[wrong], kind='stable')[:MOST]
            rows = [
                (self.names[label], float(self.probabilities[clip, label]), self._of([clip]))
                for clip, label in where[order]
            ]
            found.append(Table(title, ('class', 'probability', 'clip'), rows))
        unread = np.flatnonzero(self.failed)
        found.append(Table('Could not be read', ('clip',), [(self._of([i]),) for i in unread]))
        return found

    def figures(self) -> dict[str, Figure]:
        """For :func:`.write_report`: the average precisions of the classes that have clips."""
        some = np.flatnonzero(self.counts)
        names = [self.names[i] for i in some]
        mean = 'mean', self.mean_average_precision()
        bars = bars_figure(self.average_precision[some], mean, names, 'average precision')
        return {'classes.png': bars}

    def _worst_first(self) -> list[int]:
        return np.argsort(self.average_precision, kind='stable').tolist()  # NaN last

    def _of(self, clips: Sequence[int]) -> list[str]:
        return [self.clips[clip] if self.clips else f'clip {clip}' for clip in clips]


def multi_label_report_on(
    results: Sequence[Mapping], names: Sequence[str], threshold: float = 0.5
) -> MultiLabelReport:
    """The report on data samples.

    Args:
        results: Each with ``pred_score`` (classes,), ``gt_label`` (classes,), perhaps ``failed``
            and ``video_id``, as :func:`.load_dump` gives them.
        names: Class names.
        threshold: See :class:`MultiLabelReport`.

    Raises:
        ValueError: A clip has no 0 or 1 for each class, or as :class:`MultiLabelReport`.
    """
    scores, labels = [], []
    for result in results:
        score, label = result['pred_score'], result['gt_label']
        if score.dim() != 1 or label.shape != score.shape:
            raise ValueError(
                'MultiLabelReport: expected a score and a label, 0 or 1, of each class, got '
                f'{tuple(score.shape)} and {tuple(label.shape)}'
            )
        scores.append(wrong_scores(score, label) if result.get('failed') else score)
        labels.append(label)
    failed = [bool(result.get('failed')) for result in results]
    clips = [result['video_id'] for result in results if 'video_id' in result]
    clips = clips if len(clips) == len(results) else ()
    arrays = (torch.stack(x).float().numpy() for x in (scores, labels))
    return MultiLabelReport(*arrays, names, failed, clips, threshold)


def check_threshold(threshold: float) -> None:
    """Refuse what is no probability that something may be above and below.

    Raises:
        ValueError: It is not in (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f'threshold must be above 0 and below 1, got {threshold}')
