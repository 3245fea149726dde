"""What a network says over time, as one picture however long it lasts."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # without pyplot: no global state, no display

from mmaction_emim.utils.figures import as_written

COLUMNS = 1000
DPI = 100
NAME = 34  # characters of a class


class TimelineRecord:
    """Probabilities over time in bounded memory: of a long time neighbours are averaged.

    Args:
        columns: How many rows are kept at most, twice as many for a moment. Defaults to 1000.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        self.columns = columns
        self._each = 1  # additions that make a row
        self._ends: list[float] = []
        self._rows: list[np.ndarray] = []
        self._waiting: list[np.ndarray] = []
        self._start: float | None = None

    def add(self, start: float, end: float, probabilities: np.ndarray) -> None:
        """Add what was said at ``end``, in seconds; ``start`` counts the first time.

        Args:
            start: Where the first one begins.
            end: Later than the one before.
            probabilities: (classes,).
        """
        self._start = start if self._start is None else self._start
        self._waiting.append(probabilities)
        if len(self._waiting) < self._each:
            return
        self._ends.append(end)
        self._rows.append(np.mean(self._waiting, axis=0, dtype=np.float32))
        self._waiting.clear()
        if len(self._rows) == 2 * self.columns:
            self._rows = [
                (a + b) / 2 for a, b in zip(self._rows[::2], self._rows[1::2], strict=True)
            ]
            self._ends = self._ends[1::2]
            self._each *= 2

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges (n + 1,) in seconds, and the probabilities (n, classes) between them."""
        rows = self._rows or [np.mean(self._waiting, axis=0)]
        ends = self._ends or [(self._start or 0.0) + 1.0]
        return np.array([self._start, *ends]), np.stack(rows)


@as_written
def draw_timeline(
    edges: np.ndarray, probabilities: np.ndarray, names: Sequence[str], most: int = 8
) -> np.ndarray:
    """The classes that lead somewhere, a row each, and how probable they are over time.

    Args:
        edges: (n + 1,), seconds, rising.
        probabilities: (n, classes).
        names: Class names.
        most: How many classes are drawn. Defaults to 8.

    Returns:
        (h, 1000, 3) uint8, RGB.
    """
    shown = np.argsort(-probabilities.max(axis=0), kind='stable')[:most]
    shown = shown[np.argsort(probabilities[:, shown].argmax(axis=0), kind='stable')]
    figure = Figure(figsize=(10, 1.1 + 0.3 * len(shown)), dpi=DPI, layout='constrained')
    axes = figure.add_subplot()
    unit, seconds = _unit(edges[-1] - edges[0])
    rows = np.arange(len(shown) + 1)
    mesh = axes.pcolormesh(
        edges / seconds, rows, probabilities[:, shown].T, cmap='cividis', vmin=0, vmax=1
    )
    labels = [names[i] if len(names[i]) <= NAME else f'{names[i][: NAME - 1]}…' for i in shown]
    axes.set_yticks(rows[:-1] + 0.5, labels, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel(f'time ({unit})')
    figure.colorbar(mesh, ax=axes, label='probability', pad=0.01)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 180:
        return 's', 1.0
    return ('min', 60.0) if seconds < 3 * 3600 else ('h', 3600.0)
