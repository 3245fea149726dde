"""How far the objects of a MotionShapes clip go from one sampled frame to the next."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .motion_shapes import DISTANCE, RADIUS, REFERENCE_SIZE, trajectory

INNER = 0.7  # of an object's radius: what is inside is on the object, whatever its outline


class TrueMotion(NamedTuple):
    """Displacement of the places of a grid that show an object.

    Attributes:
        on_object: (P, grid, grid) bool, P pairs of neighbouring samples.
        displacement: (P, grid, grid, 2), x and y in pixels; NaN off the objects. The background
            rests, where the camera does not shake.
    """

    on_object: np.ndarray
    displacement: np.ndarray


def true_motion(label: int, seed: int, frames: Sequence[int], size: int, grid: int) -> TrueMotion:
    """The motion of ``render_clip(label, seed, size=size)``, its objects' turning and growing in.

    Objects are left out that leave the frame on the way and come in on its other side, or whose
    size or distance starts over.

    Args:
        label: Index of the class in :data:`.CLASSES`.
        seed: The clip's.
        frames: Numbers of the sampled frames, rising.
        size: Height and width of the clip in pixels.
        grid: Places on a side: displacements are those of the middles of ``grid`` x ``grid`` cells.

    Returns:
        :class:`TrueMotion`.
    """
    path = trajectory(label, seed, frames[-1] + 1, size)
    scale = size / REFERENCE_SIZE
    middles = (np.arange(grid) + 0.5) * size / grid
    places = np.stack(np.meshgrid(middles, middles), axis=-1)  # (grid, grid, 2), x and y
    displacement = np.full((len(frames) - 1, grid, grid, 2), np.nan)
    for pair, (now, after) in enumerate(zip(frames[:-1], frames[1:], strict=True)):
        # More than half of a period is the way around: of the frame, of the size, of the distance.
        step = (path.centre[after] - path.centre[now] + size / 2) % size - size / 2
        growth = path.radius[after] / path.radius[now]
        if abs(path.distance[after] - path.distance[now]) > np.ptp(DISTANCE) * scale / 2:
            continue
        if max(growth.max(), 1 / growth.min()) > np.sqrt(RADIUS[1] / RADIUS[0]):
            continue
        turn = path.spin[after] - path.spin[now]
        apart = path.positions() - path.centre[:, None]  # (T, 2 objects, 2)
        for i in range(2):
            position = (path.positions()[now, i]) % size
            target = position + step + apart[after, i] - apart[now, i]
            if ((target < 0) | (target >= size)).any():
                continue
            cos, sin = growth[i] * np.cos(turn[i]), growth[i] * np.sin(turn[i])
            own = places - position
            on_object = np.hypot(*np.moveaxis(own, -1, 0)) <= max(
                INNER * path.radius[now, i], size / grid / 2
            )
            moved = target + own @ np.array([[cos, sin], [-sin, cos]]) - places
            displacement[pair][on_object] = moved[on_object]
    return TrueMotion(np.isfinite(displacement[..., 0]), displacement)
