"""Tests of several recognizers in one table: what was asked, what was measured, how it looks."""

import csv
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as repr_
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from mmengine.config import Config

from mmaction_emim.utils.files import read_text

from .protocol import averaging, data_name, test_views

LARGEST_LIST = 1 << 18  # characters; YAML is read slowly
NAME_MAX = 255  # bytes, of file systems


class Entry(NamedTuple):
    """What to test.

    Attributes:
        name: First cell of the row; the config's name where the list gives none.
        config: Path of the config.
        checkpoint: Path of the weights.
        options: As ``--cfg-options``, ``key=value``.
    """

    name: str
    config: Path
    checkpoint: Path
    options: tuple[str, ...]


class Row(NamedTuple):
    """A line of the leaderboard. Shares are in percent, GFLOPs count multiply-accumulates."""

    name: str
    data: str
    frames: int
    views: str
    averaging: str
    params_m: float
    gflops_view: float
    gflops: float
    top1: float
    top5: float
    mean_class: float
    clips: int
    failed: int


class Published(NamedTuple):
    """A result of others, as published; ``gflops`` over all views."""

    name: str
    data: str
    top1: float
    gflops: float


TITLES = (
    'network', 'data', 'frames', 'views (clips x crops)', 'scores', 'params, M', 'GFLOPs a view',
    'GFLOPs', 'top-1', 'top-5', 'mean class', 'clips', 'failed',
)  # fmt: skip


def read_entries(path: Path) -> list[Entry]:
    """A YAML list of ``{config: …, checkpoint: …, name: …, cfg_options: {key: value}}``.

    Raises:
        ValueError: An entry is not so, a file does not exist, or a name is there twice.
    """
    entries: dict[str, Entry] = {}
    for number, item in enumerate(_yaml_list(path), start=1):
        where = f'{path}: entry {number}'
        values = _fields(item, where, ('config', 'checkpoint'), ('name', 'cfg_options'))
        config, checkpoint = (_file(values[key], where, key) for key in ('config', 'checkpoint'))
        options = values.get('cfg_options', {})
        if not isinstance(options, dict):
            raise ValueError(f'{where}: cfg_options must be key: value, got {repr_(options)}')
        name = values.get('name', config.stem)
        if not isinstance(name, str | int | float) or not _is_folder_name(str(name)):
            raise ValueError(f'{where}: name {repr_(name)} must be the name of a folder')
        if (name := str(name)) in entries:
            raise ValueError(f'{where}: name {name!r} is there twice')
        options = tuple(f'{key}={value}' for key, value in options.items())
        entries[name] = Entry(name, config, checkpoint, options)
    return list(entries.values())


def read_published(path: Path) -> list[Published]:
    """A YAML list of ``{name: …, data: …, top1: percent, gflops: over all views}``.

    Raises:
        ValueError: An entry is not so.
    """
    found = []
    for number, item in enumerate(_yaml_list(path), start=1):
        where = f'{path}: entry {number}'
        result = Published(**_fields(item, where, Published._fields))
        for key, value in result._asdict().items():
            kinds = str if key in ('name', 'data') else int | float
            if not isinstance(value, kinds) or isinstance(value, bool):
                kind = 'a text' if kinds is str else 'a number'
                raise ValueError(f'{where}: {key} must be {kind}, got {repr_(value)}')
        if not (math.isfinite(result.top1) and 0 < result.gflops < math.inf):
            raise ValueError(f'{where}: top1 must be a percentage and gflops above 0, got {result}')
        found.append(result)
    return found


def measure(name: str, cfg: Config, results: Sequence[dict], parameters: int, macs: int) -> Row:
    """The row of one test.

    Args:
        name: First cell of the row.
        cfg: The config, with the test's options merged in.
        results: From :func:`.load_dump`, a score per class each; failed clips count as wrong.
        parameters: Parameters of the network.
        macs: Multiply-accumulates of one view.

    Raises:
        ValueError: The clips have several labels.
    """
    if any(result['gt_label'].numel() != 1 for result in results):
        raise ValueError(
            f'{name}: its clips have several labels, and top-1 is of one; '
            'tools/analysis_tools/class_accuracy.py reads such a dump'
        )
    scores = torch.stack([result['pred_score'] for result in results])
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :5]
    labels = torch.cat([result['gt_label'].flatten() for result in results])
    failed = torch.tensor([bool(result.get('failed')) for result in results])
    right = (best == labels[:, None]) & ~failed[:, None]
    top1, top5 = right[:, 0], right.any(1)
    by_class = [top1[labels == label].double().mean().item() for label in labels.unique()]
    clips, crops = test_views(cfg)
    frames = next(s.clip_len for s in cfg.test_dataloader.dataset.pipeline if 'clip_len' in s)
    return Row(
        name=name,
        data=data_name(cfg),
        frames=frames,
        views=f'{clips} x {crops}',
        averaging=averaging(cfg),
        params_m=round(parameters / 1e6, 2),
        gflops_view=round(macs / 1e9, 1),
        gflops=round(macs * clips * crops / 1e9, 1),
        top1=round(100 * top1.double().mean().item(), 2),
        top5=round(100 * top5.double().mean().item(), 2),
        mean_class=round(100 * float(np.mean(by_class)), 2),
        clips=len(results),
        failed=int(failed.sum()),
    )


def markdown(rows: Sequence[Row], published: Sequence[Published], failures: dict[str, str]) -> str:
    """A table for each dataset, the best first; published results apart; what failed and why."""
    text = '# Leaderboard\n'
    for data in dict.fromkeys(row.data for row in rows):
        own = sorted((row for row in rows if row.data == data), key=lambda row: -row.top1)
        text += f'\n## {data}\n\n' + _table(TITLES, own)
        if peers := [peer for peer in published if peer.data == data]:
            titles = ('network', 'data', 'top-1', 'GFLOPs')
            text += '\nPublished by others, not measured here:\n\n' + _table(titles, peers)
    if failures:
        text += '\n## Failed\n\n' + ''.join(f'- {n}: {why}\n' for n, why in failures.items())
    return text


def csv_text(rows: Sequence[Row]) -> str:
    """The rows with the field names as header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([Row._fields, *rows])
    return text.getvalue()


def plot(rows: Sequence[Row], published: Sequence[Published], path: Path) -> None:
    """Top-1 against GFLOPs over all views, one panel a dataset, published results hollow."""
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    names = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(6 * len(names), 5), layout='constrained')
    for axes, data in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        own = [row for row in rows if row.data == data]
        peers = [peer for peer in published if peer.data == data]
        axes.scatter([r.gflops for r in own], [r.top1 for r in own], label='measured')
        if peers:
            x, y = [p.gflops for p in peers], [p.top1 for p in peers]
            axes.scatter(x, y, facecolors='none', edgecolors='grey', label='published by others')
        for point in (*own, *peers):
            offset = dict(xytext=(4, 4), textcoords='offset points', fontsize=7)
            axes.annotate(point.name, (point.gflops, point.top1), **offset)
        axes.set(title=data, xscale='log', xlabel='GFLOPs over all views', ylabel='top-1, percent')
        axes.legend()
    figure.savefig(path, dpi=120)


def _table(titles: Sequence[str], rows: Sequence[tuple]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    return ''.join('| ' + ' | '.join(map(str, line)) + ' |\n' for line in lines)


def _yaml_list(path: Path) -> list:
    text = read_text(path)
    if len(text) > LARGEST_LIST:
        raise ValueError(
            f'{path}: a list of at most {LARGEST_LIST:,} characters, got {len(text):,}'
        )
    try:
        items = yaml.load(text, _Loader)
    except Exception as error:  # of any class: the values of dates, of numbers …
        why = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'{path}: not YAML: {why}') from error
    if not isinstance(items, list) or not items:
        raise ValueError(f'{path}: expected a list of entries, each after a dash')
    return items


class _Loader(yaml.SafeLoader):
    """Refuses aliases inside of anchors: a short text of them unfolds to any size."""

    _anchors = 0

    def compose_node(self, parent: yaml.Node, index: int) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            if self._anchors:
                raise yaml.YAMLError('an alias (*) within an anchor (&)')
            return super().compose_node(parent, index)
        anchored = self.peek_event().anchor is not None
        self._anchors += anchored
        node = super().compose_node(parent, index)
        self._anchors -= anchored
        return node


def _file(value: Any, where: str, key: str) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f'{where}: {key} must be the path of a file, got {repr_(value)}')
    try:
        if Path(value).is_file():
            return Path(value)
        why = 'does not exist'
    except OSError as error:  # a name that is too long, a folder that may not be read
        why = f'cannot be read: {error.strerror}'
    raise ValueError(f'{where}: {key} {repr_(value)} {why}')


def _is_folder_name(name: str) -> bool:
    fits = 0 < len(os.fsencode(name)) <= NAME_MAX
    return fits and '/' not in name and not name.startswith('.') and name.isprintable()


def _fields(item: Any, where: str, needed: Sequence[str], more: Sequence[str] = ()) -> dict:
    if not isinstance(item, dict) or not set(needed) <= item.keys() <= {*needed, *more}:
        keys = ', '.join(map(repr_, item)) if isinstance(item, dict) else repr_(item)
        optional = f', perhaps {", ".join(more)}' if more else ''
        raise ValueError(f'{where}: expected {", ".join(needed)}{optional}, got {keys}')
    return item
