"""A picture of the accuracies in tables such as README.md's: a panel for each table.

python -m projects.motion_study.picture      # draws accuracies.png from README.md
"""

import json
import re
from math import ceil
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no global state, no display
from matplotlib.lines import Line2D

from projects.motion_study.arms import REFERENCE
from projects.motion_study.data import chance_of

README = Path(__file__).with_name('README.md')
PICTURE = README.with_name('accuracies.png')

# Okabe and Ito's colours, told apart by the colour-blind too; the shapes say the same without any.
STYLES = {
    'yes': ('as expected', '#0072B2', 'o'),
    'no': ('not as expected', '#D55E00', 'X'),
    'open': ('open: the seeds do not tell', '#56B4E9', 'D'),
    '-': ('nothing was expected', '#999999', 's'),
}
CHANCE, EMIM = dict(color='black', linestyle=':'), dict(color='#009E73', linestyle='--')
COLUMNS = 3
ROW, LABELS, WIDTH, TITLE, FOOT = 0.21, 1.35, 2.5, 0.5, 0.45  # inches


class Row(NamedTuple):
    """An arm: mean, lowest and highest top-1 over seeds, and how that was expected."""

    arm: str
    mean: float
    lowest: float
    highest: float
    verdict: str


def accuracies(text: str) -> dict[str, list[Row]]:
    """The rows of each table of accuracies, by its title ``'data, network, N steps'``."""
    tables = {}
    for title, table in re.findall(r'^#+ (.+)\n\n(\| arm \| top-1 .+\n(?:\|.+\n)+)', text, re.M):
        cells = [line.strip('| ').split(' | ') for line in table.splitlines()[2:]]
        tables[title] = [
            Row(arm, float(top1.split(' ± ')[0]), float(lowest), float(highest), rest[-1])
            for arm, top1, lowest, highest, *rest in cells
        ]
    return tables


def draw(text: str, path: Path) -> None:
    """Draw every table of accuracies in ``text`` into a PNG.

    Raises:
        ValueError: There is none.
    """
    tables = accuracies(text)
    if not tables:
        raise ValueError(f'{path}: no table of accuracies to draw')
    keys = _keys({row.verdict for rows in tables.values() for row in rows})
    columns: list[list[str]] = [[] for _ in range(min(COLUMNS, len(tables)))]
    heights = [0.0] * len(columns)  # in inches
    for title, rows in tables.items():
        shortest = heights.index(min(heights))
        columns[shortest].append(title)
        heights[shortest] += TITLE + ROW * len(rows) + FOOT
    keys_a_line = len(keys) * len(columns) // COLUMNS
    width = len(columns) * (LABELS + WIDTH) + 0.25
    height = max(heights) + ROW * (ceil(len(keys) / keys_a_line) + 1)
    figure = Figure(figsize=(width, height))
    for number, titles in enumerate(columns):
        left, top = number * (LABELS + WIDTH) + LABELS, height
        for title in titles:
            tall = ROW * len(tables[title])
            top -= TITLE + tall
            box = left / width, top / height, WIDTH / width, tall / height
            _panel(figure.add_axes(box), title, tables[title])
            top -= FOOT
    figure.legend(handles=keys, loc='lower center', ncols=keys_a_line, frameon=False, fontsize=8.5)
    # The numbers are kept inside, so that a test can tell whether a picture is of today's tables.
    kept = dict(Description=json.dumps(tables))
    figure.savefig(path, dpi=110, metadata=kept, pil_kwargs=dict(optimize=True))


def _keys(verdicts: set[str]) -> list[Line2D]:
    """The legend's entries."""
    return [
        *(
            Line2D([], [], linestyle='none', marker=shape, color=colour, label=label)
            for verdict, (label, colour, shape) in STYLES.items()
            if verdict in verdicts
        ),
        Line2D([], [], color='gray', label='lowest to highest seed'),
        Line2D([], [], label="the network's EMIM", **EMIM),
        Line2D([], [], label='chance', **CHANCE),
    ]


def _panel(axes: Axes, title: str, rows: list[Row]) -> None:
    axes.axvline(chance_of(title.split(', ')[0]), **CHANCE, linewidth=1)
    for y, row in enumerate(rows):
        _, colour, shape = STYLES[row.verdict]
        axes.plot([row.lowest, row.highest], [y, y], color=colour, linewidth=1.5)
        axes.plot(row.mean, y, shape, color=colour, markersize=6)
        if row.arm == REFERENCE:
            axes.axvline(row.mean, **EMIM, linewidth=1)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.set_title(title.replace(', learning rate', '\nlearning rate'), fontsize=9)
    axes.set_xlabel('test top-1, share of clips', fontsize=8.5)
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    axes.tick_params(labelsize=8.5)
    axes.grid(alpha=0.25)


if __name__ == '__main__':
    draw(README.read_text(), PICTURE)
