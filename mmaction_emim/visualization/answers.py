"""Clips with the classes that a network takes them for: a sheet of several, frames of a video."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # without pyplot: no global state, no display

from mmaction_emim.utils.figures import as_written

BEST, OTHER = '#0072b2', '#9ecae1'  # of one hue: told apart in grey too
DPI = 100
NAME = 34  # characters of a class beside its bar
HEIGHT, WIDTH, PANEL = 288, 512, 320  # pixels of a video's frame, and the width of its bars


class Answer(NamedTuple):
    """What is drawn of one clip.

    Attributes:
        title: What stands above its bars.
        frames: Each (H, W, 3) uint8, RGB.
        numbers: Which frames of the clip they are.
        names: Classes, best first.
        probabilities: Theirs, 0 to 1.
        motion: A picture (h, w, 3) uint8 that stands beside the frames; None: there is none.
        said: How many of the classes are the answer, in another colour. Default 1.
    """

    title: str
    frames: Iterable[np.ndarray]
    numbers: Sequence[int]
    names: Sequence[str]
    probabilities: Sequence[float]
    motion: np.ndarray | None = None
    said: int = 1


@as_written
def draw_sheet(answers: Sequence[Answer], caption: str = '') -> np.ndarray:
    """One picture, a row a clip: its frames, its motion, bars of its classes.

    Args:
        answers: The clips, of equally many frames each.
        caption: A line under all.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    columns = len(answers[0].numbers)
    moves = any(answer.motion is not None for answer in answers)
    widths = [1.0] * columns + [1.5] * moves + [3.2]  # names of classes stand before the bars
    figure = Figure(figsize=(1.3 * sum(widths), 2 * len(answers) + 0.3), dpi=DPI)
    figure.set_layout_engine('constrained')
    grid = figure.add_gridspec(len(answers), len(widths), width_ratios=widths)
    for row, answer in enumerate(answers):
        titles = [f'frame {number}' for number in answer.numbers]
        pictures = [*zip(titles, answer.frames, strict=True)]
        if moves:
            pictures.append(('motion', answer.motion))
        for column, (title, picture) in enumerate(pictures):
            axes = figure.add_subplot(grid[row, column])
            axes.axis('off')
            if picture is not None:
                axes.imshow(picture)
                axes.set_title(title, fontsize=8)
        _draw_bars(figure.add_subplot(grid[row, -1]), answer)
    if caption:
        figure.supxlabel(caption, fontsize=8)
    return _pixels(figure)


def annotated_frames(answer: Answer) -> Iterator[np.ndarray]:
    """The clip's frames beside its bars, each (288, 832, 3) uint8, RGB, whatever its size."""
    panel = _panel(answer)
    for frame in answer.frames:
        yield np.hstack([_fitted(frame), panel])


@as_written
def _panel(answer: Answer) -> np.ndarray:
    figure = Figure(figsize=(PANEL / DPI, HEIGHT / DPI), dpi=DPI, layout='constrained')
    _draw_bars(figure.add_subplot(), answer)
    return _pixels(figure)


def _draw_bars(axes: Axes, answer: Answer) -> None:
    names = [name if len(name) <= NAME else f'{name[: NAME - 1]}…' for name in answer.names]
    places = range(len(names))
    axes.barh(
        places, answer.probabilities, color=[BEST if i < answer.said else OTHER for i in places]
    )
    for place, value in zip(places, answer.probabilities, strict=True):
        axes.text(value + 0.02, place, f'{value:.0%}', va='center', fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18)  # room for the figure of a full bar
    axes.set_xticks([0, 0.5, 1], ['0', 'probability', '1'], fontsize=8)
    axes.spines[['top', 'right']].set_visible(False)
    axes.set_title(answer.title, fontsize=9)


def _fitted(frame: np.ndarray) -> np.ndarray:
    """The frame as large as it goes into (288, 512), in the middle of black."""
    scale = min(HEIGHT / frame.shape[0], WIDTH / frame.shape[1])
    H, W = (max(1, round(side * scale)) for side in frame.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    y, x = (HEIGHT - H) // 2, (WIDTH - W) // 2
    out[y : y + H, x : x + W] = cv2.resize(frame, (W, H), interpolation=kind)
    return out


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
