"""Pictures of reports by class: bars, and a confusion matrix."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure  # without pyplot: no global state, no display

from mmaction_emim.utils.figures import as_written

FEW = 30  # classes whose names stand at the axes
FEWER = 15  # classes whose shares stand in the cells
LONGEST = 40  # characters of a name
UNREAD = '(not read)'


@as_written
def bars_figure(
    values: np.ndarray,
    mean: tuple[str, float],
    names: Sequence[str],
    what: str,
    groups: Mapping[str, float] | None = None,
) -> Figure:
    """Bars of the classes, the best on top, with the names of up to 30; and of groups of classes.

    Args:
        values: (classes,), 0 to 1, no NaN.
        mean: What the line across them is called, and where it is.
        names: Class names.
        what: What the values are.
        groups: Values of groups of classes, by name. Default: none.
    """
    order = np.argsort(-values, kind='stable')
    few = len(names) <= FEW
    rows = max(len(names) if few else 16, len(groups or ()))
    figure = Figure(figsize=(11 if groups else 7, max(2.2, 0.3 * rows + 0.9)), dpi=120)
    figure.set_layout_engine('constrained')
    *others, axes = figure.subplots(1, 2 if groups else 1, squeeze=False)[0]
    places = np.arange(len(names))
    axes.barh(places, values[order], height=0.8 if few else 1.0)
    axes.set(xlabel=what, xlim=(0, 1), ylim=(len(names) - 0.4, -0.6))
    axes.axvline(mean[1], color='black', linewidth=1, label=f'{mean[0]} {mean[1]:.3f}')
    if few:
        axes.set_yticks(places, [short(names[i]) for i in order])
    else:
        axes.set_ylabel('classes, sorted')
    for each in others:
        each.barh(list(groups), np.nan_to_num([*groups.values()]))
        each.axvline(mean[1], color='black', linewidth=1)
        each.set(xlabel=what, xlim=(0, 1))
        each.invert_yaxis()
    figure.legend(loc='outside lower right', frameon=False)
    return figure


@as_written
def confusion_figure(confusion: np.ndarray, unread: np.ndarray, names: Sequence[str]) -> Figure:
    """The confusion matrix, each row a share of its class's clips.

    Up to 30 classes have their names at the axes, up to 15 the shares in the cells; more have their
    numbers, and colours that show small shares.

    Args:
        confusion: (classes, classes), clips of a row's class that were taken for a column's.
        unread: (classes,), clips that could not be read; a column of its own, if there are any.
        names: Class names.
    """
    counts = np.column_stack([confusion, unread] if unread.any() else [confusion])
    total = counts.sum(1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    few = len(names) <= FEW
    side = max(3.0, 0.42 * len(names)) if few else 8.5
    margin = 0.085 * max(map(len, map(short, names))) if few else 0.6
    size = (side + margin + 1.4, side + margin + 0.5)
    figure = Figure(figsize=size, dpi=120, layout='constrained')
    axes = figure.subplots()
    norm = None if few else PowerNorm(0.4, 0, 1)
    limits = dict(vmin=0, vmax=1) if few else {}
    drawn = axes.imshow(shares, cmap='Blues', norm=norm, aspect='equal', **limits)
    figure.colorbar(drawn, ax=axes, label="share of the class's clips", shrink=0.8)
    axes.set(xlabel='taken for', ylabel='class')
    axes.set_facecolor('0.9')  # of classes without a clip
    columns = [*map(short, names), *[UNREAD] * (counts.shape[1] - len(names))]
    if few:
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(names)), columns[: len(names)])
    if len(names) <= FEWER:
        for row, column in zip(*np.nonzero(counts), strict=True):
            share = shares[row, column]
            look = dict(ha='center', va='center', fontsize=7)
            axes.text(
                column, row, f'{share:.2f}', color='white' if share > 0.5 else 'black', **look
            )
    return figure


def short(name: str) -> str:
    """The name, cut to 40 characters."""
    return name if len(name) <= LONGEST else f'{name[: LONGEST - 1]}…'
