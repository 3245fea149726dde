"""A motion field drawn over the frames of its clip."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # without pyplot: no global state, no display
from torch import Tensor

from mmaction_emim.ops import MotionField

from .flow_colours import colour_wheel, draw_arrows, flow_colours

STYLES = ('arrows', 'colours', 'both')
FAINT = 0.25  # confidence below which no arrow is drawn
GAP = 6  # pixels between pictures of a sheet
DPI = 100


def input_frames(inputs: Tensor, clips: int) -> np.ndarray:
    """The frames that a recognizer sees, from what its test pipeline packs.

    Args:
        inputs: ``inputs`` of one sample as ``PackActionInputs`` gives them, before the data
            preprocessor: (views, 3, T, H, W), or (views * T, 3, H, W) of a 2-D recognizer; uint8.
        clips: Clips in the network's batch: the first size of what was recorded.

    Returns:
        (clips, T, H, W, 3) uint8.

    Raises:
        ValueError: ``inputs`` are no frames, or not those of so many clips.
    """
    if inputs.dim() == 5 and inputs.shape[1] == 3 and len(inputs) == clips:
        return inputs.permute(0, 2, 3, 4, 1).numpy()
    if inputs.dim() == 4 and inputs.shape[1] == 3 and len(inputs) % clips == 0:
        return inputs.unflatten(0, (clips, -1)).permute(0, 1, 3, 4, 2).numpy()
    raise ValueError(
        f'inputs must be (views, 3, T, H, W) or (views * T, 3, H, W) of {clips} clips, '
        f'got {tuple(inputs.shape)}'
    )


def in_pixels(displacement: np.ndarray | Tensor, size: Sequence[int]) -> np.ndarray:
    """Displacements (..., H, W, 2), in tokens, in pixels of frames of ``size`` (height, width)."""
    displacement = np.asarray(displacement, dtype=np.float32)
    rows, columns = displacement.shape[-3:-1]
    return displacement * np.float32([size[1] / columns, size[0] / rows])


def draw_motion_field(
    frames: np.ndarray,
    field: MotionField,
    style: str = 'arrows',
    longest: float | None = None,
    side: int = 320,
) -> tuple[np.ndarray, float]:
    """A picture for each pair of frames: the first of the two, and where its tokens go.

    Where a layer has fewer frames than the clip, each of its pairs is drawn over the first frame
    that it stands for. Arrows are true to scale: their heads are where tokens go. They are left out
    where the confidence is below 0.25; colours fade with it.

    Args:
        frames: Frames of one clip, (T, H, W, 3) uint8, RGB, as the network saw them.
        field: The same clip's: displacement (P, rows, columns, 2) in tokens and confidence
            (P, rows, columns).
        style: ``'arrows'`` (default) in flow colours over the frames, ``'colours'`` over grey
            frames, or ``'both'``: white arrows over colours over grey frames.
        longest: Displacement of the full colour, in pixels of ``frames``. None (default): nine in
            ten of those that are drawn are shorter; at least one pixel.
        side: The shorter side of a picture, about: frames are enlarged by whole numbers.

    Returns:
        Pictures (P, h, w, 3) uint8, RGB, and ``longest``.

    Raises:
        ValueError: ``style`` is none of these, or the field is of no clip of such frames.
    """
    if style not in STYLES:
        raise ValueError(f'style: got {style!r}; accepted are {STYLES}')
    flow, confidence = np.asarray(field.displacement), np.asarray(field.confidence)
    if flow.ndim != 4 or len(flow) >= len(frames):
        raise ValueError(
            f'the displacement of one clip of {len(frames)} frames must be (pairs, rows, columns, '
            f'2) with fewer pairs, got {flow.shape}'
        )
    T, H, W = frames.shape[:3]
    flow = in_pixels(flow, (H, W))
    seen = confidence >= FAINT
    if longest is None:
        lengths = np.linalg.norm(flow[seen], axis=-1)
        longest = max(1.0, float(np.quantile(lengths, 0.9))) if len(lengths) else 1.0
    zoom = max(1, round(side / min(H, W)))
    pictures = []
    for pair in range(len(flow)):
        frame = frames[pair * T // (len(flow) + 1)]
        picture = cv2.resize(frame, (W * zoom, H * zoom), interpolation=cv2.INTER_CUBIC)
        if style != 'arrows':
            picture = _coloured(picture, flow[pair], confidence[pair], longest)
        if style != 'colours':
            arrows = np.where(seen[pair][..., None], flow[pair] * zoom, np.nan)
            ink = flow_colours(flow[pair], longest) if style == 'arrows' else None
            picture = draw_arrows(picture, arrows, ink)
        pictures.append(picture)
    return np.stack(pictures), longest


def _coloured(
    picture: np.ndarray, flow: np.ndarray, confidence: np.ndarray, longest: float
) -> np.ndarray:
    """Flow colours over the grey picture; what is not moving or not believed stays grey."""
    size = picture.shape[1::-1]
    flow, confidence = (
        cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in (flow, confidence)
    )
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    length = np.clip(np.linalg.norm(flow, axis=-1) / longest, 0, 1)
    weight = (np.sqrt(length) * confidence)[..., None]
    return np.uint8(grey * (1 - weight) + flow_colours(flow, longest) * weight + 0.5)


def legend(
    field: MotionField, longest: float, size: Sequence[int], height: int, style: str = 'arrows'
) -> np.ndarray:
    """A column that says what colours, arrows and lengths mean.

    Args:
        field: The field of one clip, whose grid is named.
        longest: Displacement at the wheel's rim, in pixels.
        size: (height, width) of the frames that the network sees.
        height: The height of the column in pixels; 150 or more are readable.
        style: What was drawn, see :func:`draw_motion_field`.

    Returns:
        (height, 200, 3) uint8, RGB.
    """
    width, wheel = 200, max(40, min(110, height - 104))  # below it is room for the text
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor='white')
    canvas = FigureCanvasAgg(figure)
    top = height - 26
    figure.text(
        0.5, (height - 6) / height, 'motion to the next frame', ha='center', va='top', fontsize=8
    )
    axes = figure.add_axes(
        ((width - wheel) / 2 / width, (top - wheel) / height, wheel / width, wheel / height)
    )
    axes.imshow(colour_wheel(4 * wheel), extent=(-1, 1, 1, -1))
    axes.annotate('', (1, 0), (0, 0), arrowprops=dict(arrowstyle='->', shrinkA=0, shrinkB=0))
    axes.set_axis_off()
    rows, columns = field.confidence.shape[-2:]
    lines = [
        f'rim: {longest:.1f} px of the input',
        f'input {size[0]} x {size[1]} px',
        f'{rows} x {columns} tokens, 1 token = {size[0] / rows:g} px',
    ]
    if style != 'colours':
        lines.append(f'no arrow: confidence below {FAINT:.0%}')
    if style != 'arrows':
        lines.append('colour fades with confidence')
    figure.text(
        0.5,
        (top - wheel - 8) / height,
        '\n'.join(lines),
        ha='center',
        va='top',
        fontsize=7.5,
        linespacing=1.35,
    )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def motion_field_sheet(
    frames: np.ndarray, field: MotionField, style: str = 'arrows', columns: int = 4, **options: Any
) -> np.ndarray:
    """All pictures of :func:`draw_motion_field` on one sheet, in reading order, with the legend.

    Args:
        frames: As :func:`draw_motion_field`'s.
        field: As :func:`draw_motion_field`'s.
        style: As :func:`draw_motion_field`'s.
        columns: Pictures in a row. Defaults to 4.
        **options: :func:`draw_motion_field`'s.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    pictures, longest = draw_motion_field(frames, field, style, **options)
    sheet = tile(pictures, columns)
    column = legend(field, longest, frames.shape[1:3], len(sheet), style)
    return np.concatenate([sheet, column], axis=1)


def motion_field_clip(
    frames: np.ndarray, field: MotionField, style: str = 'arrows', **options: Any
) -> np.ndarray:
    """The pictures of :func:`draw_motion_field`, each beside the legend, for GIF or MP4.

    Args:
        frames: As :func:`draw_motion_field`'s.
        field: As :func:`draw_motion_field`'s.
        style: As :func:`draw_motion_field`'s.
        **options: :func:`draw_motion_field`'s.

    Returns:
        (P, h, w, 3) uint8, RGB.
    """
    pictures, longest = draw_motion_field(frames, field, style, **options)
    column = legend(field, longest, frames.shape[1:3], pictures.shape[1], style)
    columns = np.broadcast_to(column, (len(pictures), *column.shape))
    return np.concatenate([pictures, columns], axis=2)


def tile(pictures: Sequence[np.ndarray], columns: int = 4) -> np.ndarray:
    """Pictures (h, w, 3) uint8 in rows of ``columns``, in reading order, white between them."""
    columns = min(columns, len(pictures))
    blanks = [np.full_like(pictures[0], 255)] * (-len(pictures) % columns)
    cells = [
        np.pad(cell, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
        for cell in [*pictures, *blanks]
    ]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])
