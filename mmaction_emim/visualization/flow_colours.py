"""Optical flow as colours: the hue is the direction, the strength the length; and as arrows.

Source: the colour wheel of Baker et al., A Database and Evaluation Methodology for Optical Flow,
IJCV 2011. Hues alone are not told apart by the colour-blind: arrows say the same.
"""

import cv2
import numpy as np

# Hues and how much of the wheel each takes to the next, so that steps look alike.
_HUES = (
    ((255, 0, 0), 15),
    ((255, 255, 0), 6),
    ((0, 255, 0), 4),
    ((0, 255, 255), 11),
    ((0, 0, 255), 13),
    ((255, 0, 255), 6),
)
SHORTEST = 0.75  # pixels of the picture; what moves less is a dot
OUTLINE, INK = (0, 0, 0), (255, 255, 255)


def flow_colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Colours of displacements: white where nothing moves, full colour at ``longest``.

    Args:
        flow: (..., 2), x to the right and y down.
        longest: The length of full colour, in the unit of ``flow``; longer ones look the same.

    Returns:
        (..., 3) uint8, RGB. To the right is red, down yellow, to the left cyan, up blue to violet.
    """
    colours, parts = zip(*_HUES, strict=True)
    turn = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1
    place = np.append(0, np.cumsum(parts)) / sum(parts)
    wheel = np.array([*colours, colours[0]], float)
    hue = np.stack([np.interp(turn, place, wheel[:, c]) for c in range(3)], axis=-1)
    strength = np.clip(np.linalg.norm(flow, axis=-1) / longest, 0, 1)[..., None]
    return np.uint8(255 - strength * (255 - hue) + 0.5)


def colour_wheel(side: int) -> np.ndarray:
    """The legend of :func:`flow_colours`, (side, side, 4) uint8, RGBA, transparent outside."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    flow = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = np.linalg.norm(flow, axis=-1, keepdims=True) <= 1
    return np.concatenate([flow_colours(flow, 1.0), np.uint8(255 * inside)], axis=-1)


def draw_arrows(
    image: np.ndarray, flow: np.ndarray, colours: np.ndarray | None = None
) -> np.ndarray:
    """Arrows with a dark outline, one from the middle of each cell of a grid.

    Args:
        image: (h, w, 3) uint8, RGB; not changed.
        flow: (rows, columns, 2), x and y, in pixels of ``image``; NaN: no arrow.
        colours: (rows, columns, 3) uint8, RGB. None (default): white.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    image = np.ascontiguousarray(image).copy()
    (h, w), (rows, columns) = image.shape[:2], flow.shape[:2]
    cell = min(h / rows, w / columns)
    thin = max(1, round(cell / 16))
    arrows = []
    for row, column in np.ndindex(rows, columns):
        start = np.array([(column + 0.5) * w / columns, (row + 0.5) * h / rows])
        if np.isfinite(flow[row, column]).all():
            ink = INK if colours is None else colours[row, column].tolist()
            arrows.append((start, start + flow[row, column], ink))
    for outline in (True, False):
        for start, end, ink in arrows:
            colour, thickness = (OUTLINE, thin + 2) if outline else (ink, thin)
            length = np.linalg.norm(end - start)
            if length < SHORTEST:
                _dot(image, start, thickness, colour)
                continue
            _line(image, start, end, thickness, colour)
            head = min(max(0.3 * length, 0.12 * cell), 0.3 * cell)
            back = (start - end) / length * head
            for side in (-0.5, 0.5):
                barb = end + back + side * np.array([-back[1], back[0]])
                _line(image, end, barb, thickness, colour)
    return image


_SHIFT = 4  # OpenCV's fixed point: sixteenths of a pixel


def _fixed(point: np.ndarray) -> tuple[int, int]:
    return tuple(int(round(x * (1 << _SHIFT))) for x in point - 0.5)  # a pixel's middle is 0 to it


def _line(image: np.ndarray, start: np.ndarray, end: np.ndarray, thick: int, colour: tuple) -> None:
    cv2.line(image, _fixed(start), _fixed(end), colour, thick, cv2.LINE_AA, _SHIFT)


def _dot(image: np.ndarray, centre: np.ndarray, thick: int, colour: tuple) -> None:
    radius = (thick << _SHIFT) // 2
    cv2.circle(image, _fixed(centre), radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
