"""Cost volumes of EMIM and attention over time of M2A, as pictures with their scales."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure  # without pyplot: no global state, no display
from matplotlib.patches import Rectangle
from torch import Tensor

TOKEN = '#D55E00'  # of Okabe and Ito, told apart from viridis by the colour-blind


def cost_volume_figure(
    frames: np.ndarray,
    affinity: Tensor | np.ndarray,
    window: int,
    token: Sequence[int],
    pair: int = 0,
    head: int | None = None,
) -> Figure:
    """The raw affinity of one token with its window, over the next frame.

    Args:
        frames: Frames of one clip, (T, H, W, 3) uint8, RGB.
        affinity: The same clip's, (P, heads, rows, columns, window * window).
        window: Side of the window.
        token: (row, column) in the layer's grid.
        pair: Number of the pair of frames. Defaults to 0, the first.
        head: The head to show; None (default): the mean of all.

    Returns:
        A figure: the frame with the token, the next one with the affinity in place. Offsets that
        lead out of the frame are left out.

    Raises:
        ValueError: There is no such token, pair or head.
    """
    affinity = np.asarray(affinity)
    pairs, heads, rows, columns, _ = affinity.shape
    for name, value, most in (
        ('token row', token[0], rows),
        ('token column', token[1], columns),
        ('pair', pair, pairs),
        ('head', head or 0, heads),
    ):
        if not 0 <= value < most:
            raise ValueError(f'{name} must be from 0 to {most - 1}, got {value}')
    row, column = token
    T, H, W = frames.shape[:3]
    high, wide, r = H / rows, W / columns, window // 2
    values = affinity[pair, :, row, column].reshape(heads, window, window)
    values = values.mean(0) if head is None else values[head]
    y, x = (np.arange(window) - r + place for place in (row, column))
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))
    values = np.where(inside, values, np.nan)

    figure = Figure(figsize=(9, 4.2), layout='constrained')
    left, right = figure.subplots(1, 2)
    box = dict(fill=False, edgecolor=TOKEN, linewidth=2)
    for axes, number, title in (
        (left, pair, 'token'),
        (right, pair + 1, f'its {window} x {window} keys in the next frame'),
    ):
        frame = frames[number * T // (pairs + 1)]
        axes.imshow(frame, extent=(0, W, H, 0))
        axes.add_patch(Rectangle((column * wide, row * high), wide, high, **box))
        axes.set(xlabel='pixels', xlim=(0, W), ylim=(H, 0))
        axes.set_title(f'frame {number + 1} of {pairs + 1}: {title}', fontsize=10)
    extent = (x[0] * wide, (x[-1] + 1) * wide, (y[-1] + 1) * high, y[0] * high)
    drawn = right.imshow(values, extent=extent, cmap='viridis', alpha=0.75)
    right.set(xlim=(0, W), ylim=(H, 0))
    whose = 'mean of heads' if head is None else f'head {head}'
    figure.colorbar(drawn, ax=right, label=f'affinity (logit of the softmax), {whose}')
    return figure


def attention_figure(attention: Tensor | np.ndarray, title: str = '') -> Figure:
    """Attention over time (T, T) as a matrix: rows attend to columns."""
    attention = np.asarray(attention)
    T = len(attention)
    figure = Figure(figsize=(5, 4.2), layout='constrained')
    axes = figure.subplots()
    drawn = axes.imshow(attention, cmap='viridis', vmin=0)
    ticks = range(0, T, max(1, T // 8))
    axes.set_xticks(ticks, [i + 1 for i in ticks])
    axes.set_yticks(ticks, [i + 1 for i in ticks])
    axes.set(xlabel='attends to the change after frame', ylabel='change after frame')
    axes.set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=axes, label='weight, rows sum to 1')
    return figure
