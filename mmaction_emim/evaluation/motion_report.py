"""Does a recognizer use motion? Its accuracy on clips whose frames come in other orders."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import collect_results
from mmengine.runner import Runner, autocast
from torch import nn

from mmaction_emim.datasets.transforms.frame_order import ORDERS
from mmaction_emim.utils.finite import check_finite

from .class_report import ClassReport
from .protocol import tested_datasets

LEAST = 0.5  # accuracy forward from which a class has something to lose
SURVIVES = 0.8  # of it, that is left
TURNS = 0.5  # of a class's clips, played backwards, that are taken for one other class


def play(cfg: Config, order: str, seed: int = 0) -> Config:
    """A copy of a config that tests on clips whose frames are played in an order.

    ``FrameOrder`` goes before the step that decodes, in every data set that is tested; the one that
    a pipeline has already goes.

    Args:
        cfg: A config of this project or of MMAction2.
        order: See :class:`.FrameOrder`.
        seed: See :class:`.FrameOrder`; read by the shuffled order alone.

    Raises:
        ValueError: A pipeline has no step that decodes frames, or no test.
    """
    cfg = copy.deepcopy(cfg)
    for dataset in tested_datasets(cfg):
        steps = [step for step in dataset.get('pipeline') or () if _kind(step) != 'FrameOrder']
        decodes = [i for i, step in enumerate(steps) if 'Decode' in _kind(step)]
        if not decodes:
            raise ValueError(
                f'{cfg.filename}: no step of the test pipeline decodes, so frames have no order'
            )
        shuffled = dict(seed=seed) if order == 'shuffled' else {}
        steps.insert(decodes[0], dict(type='FrameOrder', order=order, **shuffled))
        dataset['pipeline'] = steps
    return cfg


def _kind(step: Mapping) -> str:
    return getattr(step['type'], '__name__', str(step['type']))


@dataclass
class Answers:
    """What a network says of every clip of a test.

    Attributes:
        scores: (clips, classes), averaged over views; float32.
        labels: (clips,), the true ones.
        failed: (clips,) bool, clips that could not be read; they count as wrong.
    """

    scores: np.ndarray
    labels: np.ndarray
    failed: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(clips,), -1 for those that failed."""
        return np.where(self.failed, -1, self.scores.argmax(1))


@torch.no_grad()
def answer(
    model: nn.Module, cfg: Config, done: Callable[[float], None] = lambda share: None
) -> Answers | None:
    """Test a network as a config says; several processes share the clips.

    Args:
        model: Recognizer, in evaluation mode.
        cfg: The config; ``test_dataloader`` and ``test_cfg.fp16`` are read.
        done: Called after each batch with the share of all that is done.

    Returns:
        :class:`Answers`; None in all processes but the first.

    Raises:
        ValueError: Clips have several labels, or none.
        FloatingPointError: Scores of a clip are not finite.
    """
    loader = Runner.build_dataloader(cfg.test_dataloader, seed=0)
    fp16 = bool((cfg.get('test_cfg') or {}).get('fp16'))
    found = []
    for i, batch in enumerate(loader, start=1):
        with autocast(enabled=fp16):
            samples = model.test_step(batch)
        for sample in (sample.to_dict() for sample in samples):
            if 'gt_label' not in sample or sample['gt_label'].numel() != 1:
                raise ValueError(f'{cfg.filename}: each tested clip must have one label')
            score, failed = sample['pred_score'].float().cpu(), bool(sample.get('failed'))
            if not failed:
                check_finite(score, sample.get('video_id', f'clip {len(found)}'))
            score = (score if score.dim() == 1 else score.mean(0)).numpy()
            found.append((score, int(sample['gt_label']), failed))
        done(i / len(loader))
    found = collect_results(found, len(loader.dataset), device='cpu')
    return Answers(*map(np.stack, zip(*found, strict=True))) if found is not None else None


class MotionReport:
    """Accuracies by order, classes that do not need the order, classes that it turns around.

    Args:
        answers: By order; ``'forward'`` is among them.
        names: Class names, by label.

    Attributes:
        reports: :class:`.ClassReport` of each order.
        chance: Share of the most frequent class: what one gets without looking.
    """

    def __init__(self, answers: Mapping[str, Answers], names: Sequence[str]) -> None:
        self.answers = dict(answers)
        self.names = list(names)
        self.reports = {
            order: ClassReport(got.predicted, got.labels, names) for order, got in answers.items()
        }
        counts = self.reports['forward'].counts
        self.chance = float(counts.max() / counts.sum())

    def top(self, order: str, k: int) -> float:
        """Share of clips whose class is among the ``k`` best."""
        got = self.answers[order]
        best = np.argsort(-got.scores, axis=1, kind='stable')[:, :k]
        return float(((best == got.labels[:, None]).any(1) & ~got.failed).mean())

    def same(self, order: str) -> float:
        """Share of clips that get the answer that they get forward."""
        forward, other = self.answers['forward'].predicted, self.answers[order].predicted
        return float((forward == other).mean())

    def left(self, order: str) -> float:
        """What is left of the forward accuracy above chance; NaN where there is none."""
        gain = self.reports['forward'].accuracy() - self.chance
        return (self.reports[order].accuracy() - self.chance) / gain if gain > 0 else float('nan')

    def survivors(self, order: str = 'shuffled') -> list[int]:
        """Classes right in half of their clips or more that keep 80 % of that in an order."""
        forward = self.reports['forward'].class_accuracy()
        other = self.reports[order].class_accuracy()
        with np.errstate(invalid='ignore'):
            keeps = (forward >= LEAST) & (other >= SURVIVES * forward)
        return np.flatnonzero(keeps).tolist()

    def turned(self) -> list[tuple[int, int, float]]:
        """(class, other class, share): backwards, most clips of the one are taken for the other.

        Of classes right in half of their clips or more, forward.
        """
        forward, backward = self.reports['forward'], self.reports['reversed']
        found = []
        for label in np.flatnonzero(np.nan_to_num(forward.class_accuracy()) >= LEAST):
            share = backward.confusion[label] / backward.counts[label]
            other = int(share.argmax())
            if other != label and share[other] >= TURNS:
                found.append((int(label), other, float(share[other])))
        return found

    def markdown(self) -> str:
        """The table of orders, then the two lists of classes."""
        forward = self.reports['forward']
        total, failed = forward.counts.sum(), forward.failed
        top5 = ' top-5 |' if len(self.names) > 5 else ''  # of five classes it is 1
        lines = [
            f'{total} clips of {(forward.counts > 0).sum()} classes, {failed} could not be read; '
            f'the most frequent class has {self.chance:.3f} of them.',
            '',
            f'| frames played | top-1 |{top5} mean class | left above chance | same answer |',
            '|---' * (6 if top5 else 5) + '|',
        ]
        for order, report in self.reports.items():
            lines.append(
                f'| {order.replace("_", " ")} | {report.accuracy():.3f} '
                + (f'| {self.top(order, 5):.3f} ' if top5 else '')
                + f'| {report.mean_class_accuracy():.3f} | {self.left(order):.2f} '
                f'| {self.same(order):.3f} |'
            )
        judged = int((np.nan_to_num(forward.class_accuracy()) >= LEAST).sum())
        if 'shuffled' in self.reports:
            kept, shuffled = self.survivors(), self.reports['shuffled'].class_accuracy()
            lines += ['', f'Survive shuffling: {len(kept)} of {judged} classes.', '']
            lines += [
                f'- {self.names[c]}: {forward.class_accuracy()[c]:.2f} forward, '
                f'{shuffled[c]:.2f} shuffled'
                for c in sorted(kept, key=lambda c: -shuffled[c])
            ]
        if 'reversed' in self.reports:
            turned = self.turned()
            lines += ['', f'Turn into another class backwards: {len(turned)} of {judged}.', '']
            known = {frozenset(pair) for pair in forward.pairs}
            for c, other, share in sorted(turned, key=lambda row: -row[2]):
                opposite = ', its opposite by name' if frozenset((c, other)) in known else ''
                lines.append(
                    f'- {self.names[c]} -> {self.names[other]}{opposite}: {share:.2f} of its clips'
                )
        lines += [
            '',
            f'(Counted are classes right in {LEAST:.0%} of their clips or more, forward.)',
        ]
        return '\n'.join(lines) + '\n'

    def plot(self, path: Path) -> None:
        """Accuracy by order; and by class, forward against shuffled and reversed."""
        from matplotlib.figure import Figure  # without pyplot: no global state, no display

        figure = Figure(figsize=(10, 4.4), layout='constrained')
        bars, classes = figure.subplots(1, 2)
        values = [report.accuracy() for report in self.reports.values()]
        drawn = bars.barh([order.replace('_', ' ') for order in self.reports], values, color=BAR)
        bars.bar_label(drawn, fmt='%.3f', padding=3)
        bars.axvline(self.chance, color='black', linestyle=':', label='most frequent class')
        bars.set(xlabel='top-1, share of clips', xlim=(0, 1.1))
        bars.invert_yaxis()
        bars.legend(loc='lower right')
        forward = self.reports['forward'].class_accuracy()
        for order, (colour, shape) in POINTS.items():
            if order in self.reports:
                other = self.reports[order].class_accuracy()
                classes.plot(
                    forward, other, shape, color=colour, label=order, alpha=0.8, clip_on=False
                )
        classes.plot([0, 1], [0, 1], color='black', linestyle=':', label='as forward')
        classes.set(xlabel='accuracy of a class, forward', ylabel='in another order')
        classes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect='equal')
        classes.legend(loc='upper left')
        classes.set_title('classes', fontsize=10)
        bars.set_title(f'{len(self.answers["forward"].labels)} clips, frames played …', fontsize=10)
        figure.savefig(path, dpi=110)


# Okabe and Ito's colours; the shapes say the same without any.
BAR, POINTS = '#56B4E9', {'shuffled': ('#D55E00', 'X'), 'reversed': ('#0072B2', 'o')}


def report_motion(
    model: nn.Module,
    cfg: Config,
    names: Sequence[str],
    orders: Sequence[str] = ORDERS,
    seed: int = 0,
    done: Callable[[str, float], None] = lambda order, share: None,
) -> MotionReport | None:
    """Test a network on a config's data in several orders of its frames.

    Where the process group is initialized, its processes share the clips, and all but the first
    return None.

    Args:
        model: Recognizer, in evaluation mode.
        cfg: Its config, this project's or MMAction2's.
        names: Class names, by label.
        orders: Those of :class:`.FrameOrder`; ``'forward'`` is among them.
        seed: What the shuffled order is drawn with.
        done: Called with an order and the share of its test that is done.

    Raises:
        ValueError: An order is unknown or ``'forward'`` is missing, or as :func:`play` and
            :func:`answer`.
    """
    if 'forward' not in orders or not set(orders) <= set(ORDERS):
        raise ValueError(f'orders: forward and others of {ORDERS} are needed, got {list(orders)}')
    played = {order: play(cfg, order, seed) for order in orders}
    answers = {
        order: answer(model, cfg, lambda share, order=order: done(order, share))
        for order, cfg in played.items()
    }
    return MotionReport(answers, names) if answers['forward'] is not None else None
