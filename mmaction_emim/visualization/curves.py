"""Curves of training runs, from the scalars that MMEngine logs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no global state, no display

from mmaction_emim.utils.figures import as_written

# Okabe and Ito's colours, told apart by the colour-blind; strokes differ, too.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
FIGURES = 'acc/top1', 'acc/mean_average_precision'
STROKES = ('-', '--', '-.', ':')


@dataclass
class Curves:
    """The scalars of one run.

    Attributes:
        name: What the run is called in a legend.
        train: Records of training, each with ``step``, the iteration.
        val: Records of validation; ``step`` is the iteration that each came after.
        broken: ``'file:line: reason'`` of each line that is no record.
        replaced: How many records of training a later, resumed log has again.
    """

    name: str
    train: list[dict]
    val: list[dict]
    broken: list[str] = field(default_factory=list)
    replaced: int = 0

    def points(self, records: Iterable[dict], *keys: str) -> tuple[list[float], list[float]]:
        """Steps and values of the first of ``keys`` that a record has; NaN breaks the line."""
        found = [(r['step'], next((r[key] for key in keys if key in r), None)) for r in records]
        steps = [step for step, value in found if value is not None]
        return steps, [value for _, value in found if value is not None]


def find_logs(path: Path) -> list[Path]:
    """Logs of one run, the oldest first.

    Args:
        path: A log (``scalars.json``, or ``TIME.json`` beside it), ``vis_data``, a run's folder, or
            a work_dir: all runs in it are one that was resumed.

    Raises:
        FileNotFoundError: There is no log.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    for pattern in ('scalars.json', 'vis_data/scalars.json', '*/vis_data/scalars.json'):
        if logs := sorted(path.glob(pattern)):  # folders are named by their time
            return logs
    raise FileNotFoundError(f'{path}: no log (scalars.json) is there or in vis_data/')


def read_curves(path: Path, name: str | None = None) -> Curves:
    """Read a run: its logs joined, each from its first step on in the place of those before.

    Lines that are no records, as a killed process leaves them, are left out and named.

    Args:
        path: See :func:`find_logs`.
        name: The run's name; by default that of its folder.

    Raises:
        FileNotFoundError: There is no log.
        ValueError: No line is a record of training or validation.
    """
    path = Path(path)
    logs = find_logs(path)
    run = Curves(name or _name(path), [], [])
    for log in logs:
        train, val, broken = _read(log)
        run.broken += broken
        if train:
            before = len(run.train)
            run.train = [record for record in run.train if record['step'] < train[0]['step']]
            run.replaced += before - len(run.train)
            run.val = [record for record in run.val if record['step'] < train[0]['step']]
        run.train += train
        run.val += val
    if not run.train and not run.val:
        raise ValueError(f'{path}: no line of its {len(logs)} logs is a record of scalars')
    return run


def _name(path: Path) -> str:
    parts = [part for part in path.resolve().parts if part not in ('vis_data', 'scalars.json')]
    named = [part for part in parts if not part.removesuffix('.json').replace('_', '').isdigit()]
    return (named or parts)[-1]


def _read(log: Path) -> tuple[list[dict], list[dict], list[str]]:
    train, val, broken = [], [], []
    for number, line in enumerate(log.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode('utf-8-sig'))
            if not isinstance(record, dict) or not isinstance(record.get('step'), int):
                raise ValueError('not a record with a step')
        except ValueError as error:
            broken.append(f'{log}:{number}: {error}')
            continue
        record = {k: v for k, v in record.items() if isinstance(v, int | float)}
        if 'lr' in record or 'loss' in record:
            train.append(record)
        else:
            val.append({**record, 'after': train[-1]['step'] if train else None})
    for record in val:
        record['step'] = _iteration(record, train)
    return train, val, broken


def _iteration(record: dict, train: list[dict]) -> int:
    """The iteration of a validation, whose own step is an epoch where training counts epochs."""
    after = record.pop('after')
    if not train or 'epoch' not in train[0]:
        return record['step']
    first = {}
    for one in train:
        first.setdefault(one['epoch'], one['step'])
    (epoch, step), (last_epoch, last_step) = list(first.items())[0], list(first.items())[-1]
    if last_epoch > epoch:  # epochs are logged at the same places
        length = (last_step - step) / (last_epoch - epoch)
        return round(record['step'] * length)
    return record['step'] if after is None else after


@as_written
def plot_curves(runs: Sequence[Curves]) -> Figure:
    """Loss, accuracy, learning rate and throughput of the runs on one page.

    Accuracy is that of validation, with dots; where there is none, that of the training batches.
    """
    figure = Figure(figsize=(11, 7.5), layout='constrained')
    loss, accuracy, rate, speed = figure.subplots(2, 2, sharex=True).flat
    for i, run in enumerate(runs):
        look = dict(
            color=COLOURS[i % len(COLOURS)],
            linestyle=STROKES[i % len(STROKES)],
            linewidth=1.3,
        )
        _line(loss, run.points(run.train, 'loss'), label=run.name, **look)
        tested = run.points(run.val, *FIGURES)
        _line(accuracy, tested, marker='o', markersize=4, **look)
        if not tested[0]:
            _line(accuracy, run.points(run.train, 'top1_acc'), **{**look, 'linewidth': 0.7})
        _line(rate, run.points(run.train, 'lr', 'base_lr'), **look)
        _line(speed, _throughput(run), **look)
    loss.set(title='training loss', ylabel='loss')
    accuracy.set(title='top-1, validation', ylabel='share of clips', ylim=(0, 1))
    if any(FIGURES[1] in record for run in runs for record in run.val):
        accuracy.set(title='top-1, or mAP with several labels, validation', ylabel='0 to 1')
    if any(not run.points(run.val, *FIGURES)[0] for run in runs):
        accuracy.set_title('top-1, validation (dots) or training batches (thin)')
    rate.set(title='learning rate', ylabel='learning rate')
    speed.set(title='throughput', ylabel='clips a second')
    if not any('clips_per_s' in record for run in runs for record in run.train):
        speed.set_ylabel('iterations a second')
    speed.set_ylim(bottom=0)
    for axes in (loss, accuracy, rate, speed):
        axes.grid(alpha=0.25)
    for axes in (rate, speed):
        axes.set_xlabel('iteration')
    figure.legend(loc='outside lower center', ncols=min(4, len(runs)), frameon=False)
    return figure


def _throughput(run: Curves) -> tuple[list[float], list[float]]:
    clips = run.points(run.train, 'clips_per_s')
    if clips[0]:
        return clips
    steps, seconds = run.points(run.train, 'time')
    return steps, [1 / x if x else float('nan') for x in seconds]


def _line(axes: Axes, points: tuple[list[float], list[float]], **look: object) -> None:
    steps, values = points
    axes.plot(steps, [x if isfinite(x) else np.nan for x in values], **look)
