"""ATA's tracks of tokens, drawn over the frames of their clip."""

import cv2
import numpy as np
from torch import Tensor

COLOUR_STEPS = 256


def draw_tracks(
    frames: np.ndarray, tracks: Tensor | np.ndarray, every: int | None = None, side: int = 320
) -> np.ndarray:
    """A picture for each frame: where its tracks are, and how they came there.

    Every token of a frame is on one track; so that they can be told apart, some are drawn. Their
    colour says where they started: from dark to light along the rows (cividis, which the
    colour-blind read alike).

    Args:
        frames: Frames of one clip, (T, H, W, 3) uint8, RGB.
        tracks: The same clip's, (T', rows, columns, 2), columns and rows in tokens. Where T' is
            less than T, each is drawn over the first frame that it stands for.
        every: One track of so many rows and columns is drawn. None (default): about 16 in all.
        side: The shorter side of a picture, about: frames are enlarged by whole numbers.

    Returns:
        (T', h, w, 3) uint8, RGB.
    """
    tracks = np.asarray(tracks)
    layer_frames, rows, columns, _ = tracks.shape
    T, H, W = frames.shape[:3]
    zoom = max(1, round(side / min(H, W)))
    every = every or max(1, round((rows * columns / 16) ** 0.5))
    starts = [
        (row, column)
        for row in range(every // 2, rows, every)
        for column in range(every // 2, columns, every)
    ]
    shades = np.linspace(0, COLOUR_STEPS - 1, len(starts)).astype(np.uint8)[:, None]
    colours = cv2.applyColorMap(shades, cv2.COLORMAP_CIVIDIS)[:, 0, ::-1]
    scale = np.array([W, H]) * zoom / (columns, rows)
    thick = max(2, zoom)
    pictures = []
    for t in range(layer_frames):
        frame = frames[t * T // layer_frames]
        picture = cv2.resize(frame, (W * zoom, H * zoom), interpolation=cv2.INTER_CUBIC)
        for (row, column), colour in zip(starts, colours, strict=True):
            path = np.int32(np.round((tracks[: t + 1, row, column] + 0.5) * scale))
            for ink, width in (((0, 0, 0), thick + 2), (colour.tolist(), thick)):
                cv2.polylines(picture, [path], False, ink, width, cv2.LINE_AA)
                cv2.circle(picture, path[-1].tolist(), width + 1, ink, cv2.FILLED, cv2.LINE_AA)
        pictures.append(picture)
    return np.stack(pictures)
