"""Motion fields against the true motion of MotionShapes' objects: direction and length."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from mmaction.structures import ActionDataSample
from torch import nn

from mmaction_emim.datasets.motion_shapes import CLASSES, render_clip
from mmaction_emim.datasets.motion_truth import true_motion
from mmaction_emim.utils.finite import check_finite

from .motion_field import FAINT, in_pixels
from .record import record_motion_fields

MOVING = [name for name in CLASSES if name != 'still']
FIRST_SEED = 10**6  # no clip of a generated data set has a seed like it: theirs are hashes
FEWEST = 20  # places from which a median is drawn
SHORTEST = 1.0  # pixels: a shorter motion has no direction to speak of


class Places(NamedTuple):
    """What was found where an object is.

    Attributes:
        found: Displacements (N, 2), pixels.
        true: The true ones, (N, 2).
        confidence: (N,), of those found.
    """

    found: np.ndarray
    true: np.ndarray
    confidence: np.ndarray

    def believed(self) -> 'Places':
        """Those whose arrows are drawn: confidence of 0.25 or more."""
        return Places(*(part[self.confidence >= FAINT] for part in self))


class LayerMotion(NamedTuple):
    """What one layer found.

    Attributes:
        token: The side of a token in pixels.
        classes: :class:`Places` of each class.
    """

    token: float
    classes: dict[str, Places]


class Agreement(NamedTuple):
    """How well found displacements agree with true ones, over places on moving objects.

    Attributes:
        places: How many were compared: true motion of a pixel or more.
        direction: Median angle between the two, degrees; 90 is chance.
        within_45: Share of places whose direction is less than 45 degrees off; 0.25 is chance.
        length: The found motion along the true one, over the true one's length; 1 is right,
            0 is none.
        error: Mean end-point error, pixels.
        still_error: That of "nothing moves": the mean true length.
    """

    places: int
    direction: float
    within_45: float
    length: float
    error: float
    still_error: float


def compare(found: np.ndarray, true: np.ndarray) -> Agreement:
    """Found displacements (N, 2) against true ones, in pixels; NaN of no places.

    Those whose true length is below a pixel are left out.
    """
    moving = np.linalg.norm(true, axis=1) >= SHORTEST
    found, true = found[moving], true[moving]
    if not len(true):
        return Agreement(0, *[float('nan')] * 5)
    angles = angles_between(found, true)
    lengths = np.linalg.norm(true, axis=1)
    return Agreement(
        len(true),
        float(np.median(angles)),
        float((angles < 45).mean()),
        float((found * true).sum() / (true * true).sum()),
        float(np.linalg.norm(found - true, axis=1).mean()),
        float(lengths.mean()),
    )


def angles_between(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Degrees from 0 to 180 between vectors (N, 2); 90 where one has no length."""
    product = np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1)
    cosine = (found * true).sum(1) / np.where(product, product, 1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def found_and_true(
    model: nn.Module,
    clips: int = 20,
    frames: Sequence[int] = tuple(range(0, 24, 3)),
    size: int = 64,
    layer: str | None = None,
    head: int | None = None,
) -> dict[str, LayerMotion]:
    """Displacements of a recognizer's EMIM layers beside the true ones, in pixels.

    The clips are none of a data set's; every class but ``still`` is shown.

    Args:
        model: Recognizer, in evaluation mode.
        clips: How many of each class. Defaults to 20.
        frames: Numbers of the frames that the network sees. Defaults to 8, every third.
        size: Height and width of the clips, pixels. Defaults to 64.
        layer: See :func:`.record_motion_fields`.
        head: See :func:`.record_motion_fields`.

    Returns:
        A layer's name to its :class:`LayerMotion`.

    Raises:
        ValueError: A layer has fewer frames than the clip, or as :func:`.record_motion_fields`.
        FloatingPointError: What a layer found is not finite.
    """
    result: dict[str, LayerMotion] = {}
    for name in MOVING:
        label = CLASSES.index(name)
        parts: dict[str, list[Places]] = {}
        for seed in range(FIRST_SEED, FIRST_SEED + clips):
            clip = render_clip(label, seed, frames[-1] + 1, size)[list(frames)]
            with record_motion_fields(model, head, layer) as fields, torch.no_grad():
                model.test_step(_batch(model, clip))
            for key, field in fields.items():
                check_finite(field.displacement, f'{key}, {name}', 'displacements')
                pairs, rows, columns = field.displacement.shape[1:4]
                if pairs != len(frames) - 1 or rows != columns:
                    raise ValueError(
                        f'{key}: {rows} x {columns} tokens in {pairs} pairs: compared are square '
                        f'grids, one of each of {len(frames)} frames of {size} x {size} pixels'
                    )
                truth = true_motion(label, seed, frames, size, rows)
                found = in_pixels(field.displacement[0], (size, size))
                mask = truth.on_object
                believed = field.confidence[0].numpy()[mask]
                places = Places(found[mask], truth.displacement[mask], believed)
                parts.setdefault(key, []).append(places)
        for key, pieces in parts.items():
            result.setdefault(key, LayerMotion(size / rows, {})).classes[name] = _joined(pieces)
    return result


def _batch(model: nn.Module, clip: np.ndarray) -> dict:
    images = torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2)
    if model.data_preprocessor.format_shape == 'NCTHW':
        images = images.transpose(0, 1)[None]
    return dict(inputs=[images], data_samples=[ActionDataSample()])


def _joined(pieces: Iterable[Places]) -> Places:
    return Places(*map(np.concatenate, zip(*pieces, strict=True)))


def agreements(motion: LayerMotion) -> Iterator[tuple[str, Agreement]]:
    """The agreement over all classes, there of the places with arrows, then of each class."""
    together = _joined(motion.classes.values())
    yield 'all', compare(together.found, together.true)
    drawn = together.believed()
    yield f'all, confidence {FAINT} or more', compare(drawn.found, drawn.true)
    for name, places in motion.classes.items():
        yield name, compare(places.found, places.true)


def plot_agreement(motion: LayerMotion, title: str) -> Figure:
    """Angles to the true direction, and found against true length.

    Args:
        motion: A layer of what :func:`found_and_true` gives.
        title: What stands above.
    """
    figure = Figure(figsize=(9, 3.8), layout='constrained')
    angle, length = figure.subplots(1, 2)
    together = _joined(motion.classes.values())
    for places, colour, stroke, label in (
        (together, '#56B4E9', '--', 'all places on objects'),
        (together.believed(), '#0072B2', '-', f'confidence {FAINT} or more'),
    ):
        true_length = np.linalg.norm(places.true, axis=1)
        moving = true_length >= SHORTEST
        found, true, true_length = places.found[moving], places.true[moving], true_length[moving]
        share = dict(weights=np.full(len(true), 1 / max(1, len(true))))
        look = dict(color=colour, linestyle=stroke, label=label)
        angle.hist(
            angles_between(found, true), np.arange(0, 181, 10), histtype='step', linewidth=1.5,
            **share, **look,
        )  # fmt: skip
        along = (found * true).sum(1) / true_length
        edges = np.arange(SHORTEST, true_length.max(initial=SHORTEST) + 1)
        bins = [along[(true_length >= a) & (true_length < a + 1)] for a in edges]
        some = [i for i, x in enumerate(bins) if len(x) >= FEWEST]
        if some:
            middles = edges[some] + 0.5
            quartiles = np.array([np.quantile(bins[i], (0.25, 0.5, 0.75)) for i in some])
            length.plot(middles, quartiles[:, 1], marker='.', **look)
            if places is not together:
                length.fill_between(
                    middles, quartiles[:, 0], quartiles[:, 2], color=colour, alpha=0.2,
                    label='its quartiles',
                )  # fmt: skip
    angle.axhline(1 / 18, color='black', linestyle=':', label='chance')
    angle.set(
        xlabel='angle to the true direction, degrees', ylabel='share of places', xlim=(0, 180)
    )
    limit = length.get_xlim()[1]
    length.plot([0, limit], [0, limit], color='black', linestyle=':', label='found = true')
    length.axhline(motion.token, color='grey', linewidth=0.8, label='a token')
    length.set(xlabel='true length, pixels', ylabel='found along the true direction, pixels')
    for axes in (angle, length):
        axes.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
