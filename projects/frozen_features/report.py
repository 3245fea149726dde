"""Tables and a picture of the results.

python -m projects.frozen_features.report           # README.md and its picture, from results.jsonl
python -m projects.frozen_features.report OUT/results.jsonl      # from another, which is kept here
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no global state, no display
from matplotlib.lines import Line2D

from mmaction_emim.utils.files import write_text
from projects.frozen_features.arms import ARMS, BASE, REFERENCE
from projects.frozen_features.data import DATA
from projects.frozen_features.linear import VIEWS
from projects.frozen_features.runs import ORDERS, chosen_rate

README = Path(__file__).with_name('README.md')
RESULTS = README.with_name('results.jsonl')
PICTURE = README.with_name('accuracies.png')
BEGIN, END = '<!-- results: begin -->', '<!-- results: end -->'
# Okabe and Ito's colours, told apart by the colour-blind too; the shapes say the same without any.
STYLES = {'forward': ('#0072B2', 'o'), 'reversed': ('#D55E00', '<'), 'shuffled': ('#999999', 'x')}
Result = dict[str, Any]


def read(path: Path) -> list[Result]:
    """The lines of a file that study.py wrote."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(results: Iterable[Result], **fields: Any) -> list[Result]:
    """Those that have these fields."""
    return [r for r in results if all(r.get(name) == value for name, value in fields.items())]


def final(results: list[Result], encoder: str, data: str, arm: str) -> list[Result]:
    """An arm's runs at the rate that its held-out clips chose, by seed."""
    runs = of(results, kind='run', encoder=encoder, data=data, arm=arm)
    if not runs:
        return []
    rate = chosen_rate(of(runs, seed=0))
    return sorted(of(runs, lr=rate), key=lambda r: r['seed'])


def accuracies(runs: Iterable[Result], order: str) -> list[float]:
    """Top-1 of each run."""
    return [run['right'][order].count('1') / len(run['right'][order]) for run in runs]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds; of a single run its value alone."""
    text = f'{mean(values):.3f}'
    return f'{text} ± {stdev(values):.3f}' if len(values) > 1 else text


def difference(own: list[Result], other: list[Result], order: str = 'forward') -> list[float]:
    """Accuracy of an arm less another's, and the ends of an interval of about 95 %.

    The interval allows for other seeds (variance of each arm's accuracies) and other test clips
    (variance of the differences of a clip, averaged over seeds); it is two standard errors.
    """
    per_clip, seeds = [], 0.0
    for runs in (own, other):
        values = accuracies(runs, order)
        if len(values) > 1:
            seeds += stdev(values) ** 2 / len(values)
        per_clip.append(np.mean([[int(x) for x in run['right'][order]] for run in runs], axis=0))
    clips = per_clip[0] - per_clip[1]
    error = float(np.sqrt(seeds + clips.var(ddof=1) / len(clips)))
    return [float(clips.mean()), float(clips.mean() - 2 * error), float(clips.mean() + 2 * error)]


def markdown(results: list[Result]) -> str:
    """All tables."""
    pairs = [(e, d) for d in DATA for e in dict.fromkeys(r['encoder'] for r in results)]
    pairs = [pair for pair in pairs if of(results, kind='run', encoder=pair[0], data=pair[1])]
    parts = [_arms(results, *pair) for pair in pairs]
    return ''.join([*parts, _claims(results, pairs), _linear(results), _time(results)])


def _arms(results: list[Result], encoder: str, data: str) -> str:
    base = final(results, encoder, data, BASE)
    titles = ['arm', *ORDERS, f'forward, less {BASE}', 'rate', 'seeds', 'parameters', 'CPU s']
    if any('mirrored' in r for r in base):
        titles.insert(4, 'reversed, as the opposite')
    rows = []
    for arm in ARMS:
        runs = final(results, encoder, data, arm)
        if not runs:
            continue
        row = [arm, *(spread(accuracies(runs, order)) for order in ORDERS)]
        if 'mirrored' in runs[0]:
            row.append(spread([run['mirrored'] for run in runs]))
        row.append(_interval(runs, base) if base and arm != BASE else '')
        row += [f'{runs[0]["lr"]:g}', len(runs), f'{runs[0]["parameters"]:,}']
        rows.append([*row, f'{mean([run["cpu_seconds"] for run in runs]):.0f}'])
    return _section(f'{data}, {encoder}', titles, rows)


def _interval(own: list[Result], other: list[Result]) -> str:
    return '{:+.3f} ({:+.3f} to {:+.3f})'.format(*difference(own, other))


def _claims(results: list[Result], pairs: list[tuple[str, str]]) -> str:
    others = [arm for arm in ARMS if arm != REFERENCE]
    rows = []
    for encoder, data in pairs:
        own = final(results, encoder, data, REFERENCE)
        runs = [final(results, encoder, data, arm) for arm in others]
        cells = [_interval(own, other) if own and other else '' for other in runs]
        rows.append([data, encoder, *cells])
    return _section(f'Forward, {REFERENCE} less each other arm', ['data', 'encoder', *others], rows)


def _linear(results: list[Result]) -> str:
    rows = []
    for r in of(results, kind='linear'):
        values = [f'{accuracies([r], order)[0]:.3f}' for order in ORDERS]
        rows.append([r['data'], r['encoder'], r['view'], *values])
    rows.sort(key=lambda row: (list(DATA).index(row[0]), row[1], list(VIEWS).index(row[2])))
    return _section('Linear, on averages of whole frames', ['data', 'encoder', 'of', *ORDERS], rows)


def _time(results: list[Result]) -> str:
    rows = []
    for r in of(results, kind='cache'):
        runs = final(results, r['encoder'], r['data'], REFERENCE)
        if runs:
            head = mean([run['cpu_seconds'] for run in runs])
            rows.append([r['data'], r['encoder'], f'{r["cache_cpu_seconds"]:.0f}', f'{head:.0f}'])
    rows.sort(key=lambda row: list(DATA).index(row[0]))
    return _section(
        'Time, in seconds of one core', ['data', 'encoder', 'maps', f'{REFERENCE}'], rows
    )


def _section(title: str, titles: Sequence[str], rows: list[list]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    table = ''.join('| ' + ' | '.join(map(str, line)) + ' |\n' for line in lines)
    return f'\n### {title}\n\n{table}'


def draw(results: list[Result], path: Path) -> None:
    """A panel for each data set and encoder: every seed of every arm, in three orders of frames."""
    encoders = list(dict.fromkeys(r['encoder'] for r in of(results, kind='run')))
    names = [name for name in DATA if of(results, kind='run', data=name)]
    figure = Figure(figsize=(1.6 + 3 * len(names), 0.9 + 2.3 * len(encoders)), layout='constrained')
    panels = figure.subplots(len(encoders), len(names), squeeze=False, sharey=True)
    for row, encoder in zip(panels, encoders, strict=True):
        for axes, name in zip(row, names, strict=True):
            _panel(axes, results, encoder, name)
    handles = [
        *(
            Line2D([], [], color=colour, marker=shape, linestyle='none', label=order)
            for order, (colour, shape) in STYLES.items()
        ),
        Line2D([], [], color='black', linestyle=':', label='chance'),
        Line2D([], [], color='#009E73', linestyle='--', label='linear: frames in order'),
        Line2D([], [], color='#CC79A7', linestyle='-.', label='linear: centre frame'),
    ]
    figure.legend(handles=handles, loc='outside lower center', ncols=6, frameon=False, fontsize=8.5)
    figure.savefig(path, dpi=110, pil_kwargs=dict(optimize=True))


def _panel(axes: Axes, results: list[Result], encoder: str, name: str) -> None:
    axes.axvline(1 / DATA[name].num_classes, color='black', linestyle=':', linewidth=1)
    for view, line in (
        ('frames in order', dict(color='#009E73', linestyle='--')),
        ('centre frame', dict(color='#CC79A7', linestyle='-.')),
    ):
        for r in of(results, kind='linear', encoder=encoder, data=name, view=view):
            axes.axvline(accuracies([r], 'forward')[0], linewidth=1, **line)
    for y, arm in enumerate(ARMS):
        for shift, order in enumerate(ORDERS):
            values = accuracies(final(results, encoder, name, arm), order)
            colour, shape = STYLES[order]
            heights = [y + 0.22 * (shift - 1)] * len(values)
            axes.plot(values, heights, shape, color=colour, markersize=5, alpha=0.8)
    axes.set(xlim=(0, 1), ylim=(len(ARMS) - 0.5, -0.5))
    axes.set_title(f'{name}, {encoder}', fontsize=9)
    axes.set_xlabel('test top-1, share of clips', fontsize=8.5)
    axes.set_yticks(range(len(ARMS)), list(ARMS))
    axes.tick_params(labelsize=8.5)
    axes.grid(alpha=0.25)


def main() -> None:
    if len(sys.argv) > 1:
        write_text(RESULTS, Path(sys.argv[1]).read_text())
    results = read(RESULTS)
    before, rest = README.read_text().split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    write_text(README, f'{before}{BEGIN}\n{markdown(results)}\n{END}{after}')
    draw(results, PICTURE)


if __name__ == '__main__':
    main()
