"""MotionShapes: rendered clips of twelve classes that only motion tells apart.

Every clip shows two textured objects on a textured background, and its frame wraps around at the
edges (a torus). What a frame looks like follows from this state: the pair's centre, its angle, its
distance, the common log-size of its objects and each object's spin.

One frame says nothing about the class, exactly, whatever its index. At t = 0 no part of the state
depends on the class: every coordinate is uniform on its own period (the torus, the circle, or an
interval that wraps from one end to the other), and all are independent. A class then only adds to
one coordinate an offset that does not depend on the state (``clockwise``: the same offset to the
angle and both spins), modulo its period. A uniform variable plus an independent offset, modulo its
period, is uniform: the state at any t, hence the frame, has one distribution for all classes.
Shapes, colours, distractors and camera are constant or move independently of the class.

Lengths are in pixels of a 128 x 128 frame and scale with ``size``.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

CLASSES = (
    'left',
    'right',
    'up',
    'down',
    'approach',
    'recede',
    'clockwise',
    'counterclockwise',
    'shake',
    'still',
    'meet',
    'part',
)
MIRROR = {  # the class of the clip played backwards
    'left': 'right',
    'right': 'left',
    'up': 'down',
    'down': 'up',
    'approach': 'recede',
    'recede': 'approach',
    'clockwise': 'counterclockwise',
    'counterclockwise': 'clockwise',
    'shake': 'shake',
    'still': 'still',
    'meet': 'part',
    'part': 'meet',
}
DIFFICULTIES = ('clean', 'distractors', 'camera_shake')  # each includes the one before

MIN_SIZE = 32  # below it the smallest object is under 4 pixels wide
REFERENCE_SIZE = 128

RADIUS = (8.0, 32.0)  # the common size of both objects
OWN_SIZE = 0.12  # half-range of an object's own log-size around the common one
DISTANCE = (12.0, 68.0)

# Ranges of speed, per frame.
TRANSLATION = (3.5, 7.0)
GROWTH = (0.028, 0.045)  # of the log-size: a clip of 24 frames wraps in 60 of 100 cases
TURN = (math.radians(7.0), math.radians(14.0))
DISTANCE_CHANGE = (2.4, 4.2)
SHAKE_PERIOD = (4.0, 8.0)  # frames
SHAKE_AMPLITUDE = (6.0, 12.0)

DISTRACTORS = 4
DISTRACTOR_RADIUS = (3.0, 6.0)
DISTRACTOR_SPEED = (0.0, 6.0)
CAMERA_JITTER = 2.5  # largest shift of a frame, each way
PIXEL_NOISE = 6.0  # standard deviation, in grey levels

STREAMS = ('state', 'objects', 'background', 'distractors', 'camera')

# Screen directions (x to the right, y down).
DIRECTION = {'left': (-1, 0), 'right': (1, 0), 'up': (0, -1), 'down': (0, 1)}


class Trajectory(NamedTuple):
    """The state of a clip's pair, frame by frame, in float64; lengths in pixels of the clip."""

    centre: np.ndarray  # (T, 2), x and y in [0, size)
    angle: np.ndarray  # (T,), of the line from the second object to the first, radians, clockwise
    distance: np.ndarray  # (T,), between the objects' centres
    radius: np.ndarray  # (T, 2), of each object
    spin: np.ndarray  # (T, 2), of each object, radians, clockwise

    def positions(self) -> np.ndarray:
        """Centres of both objects, (T, 2 objects, 2), before the frame wraps them."""
        half = self.distance[:, None] / 2 * np.stack([np.cos(self.angle), np.sin(self.angle)], -1)
        return np.stack([self.centre + half, self.centre - half], axis=1)


def _generator(seed: int, stream: str) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, STREAMS.index(stream)]))


def _check(label: int, seed: int, num_frames: int, size: int, difficulty: str) -> None:
    if not 0 <= label < len(CLASSES):
        raise ValueError(
            f'render_clip: label must be from 0 to {len(CLASSES) - 1} (the index of a class in '
            f'CLASSES), got {label!r}'
        )
    if seed < 0:
        raise ValueError(f'render_clip: seed must be >= 0, got {seed!r}')
    if num_frames < 2:
        raise ValueError(
            f'render_clip: num_frames must be >= 2 (one frame shows no motion), got {num_frames!r}'
        )
    if size < MIN_SIZE:
        raise ValueError(f'render_clip: size must be >= {MIN_SIZE} pixels, got {size!r}')
    if difficulty not in DIFFICULTIES:
        raise ValueError(
            f'render_clip: difficulty must be one of {", ".join(DIFFICULTIES)}, got {difficulty!r}'
        )


def trajectory(label: int, seed: int, num_frames: int = 24, size: int = 128) -> Trajectory:
    """The motion that ``render_clip`` shows for the same arguments, at every difficulty.

    Clips of one seed share their state at t = 0, whatever their label.
    """
    _check(label, seed, num_frames, size, DIFFICULTIES[0])
    name = CLASSES[label]
    scale = size / REFERENCE_SIZE
    t = np.arange(num_frames)

    # The label must not decide what is drawn: every class makes the same draws, then uses its own.
    rng = _generator(seed, 'state')
    centre = rng.uniform(0, REFERENCE_SIZE, 2)
    angle, *spin = rng.uniform(0, 2 * math.pi, 3)
    distance, log_size, pace = rng.uniform(0, 1, 3)
    own_size = rng.uniform(-OWN_SIZE, OWN_SIZE, 2)
    shake = _shake(rng, t)

    def offset(speeds: tuple[float, float], forward: str, backward: str) -> np.ndarray:
        sign = (name == forward) - (name == backward)
        return sign * (speeds[0] + pace * (speeds[1] - speeds[0])) * t

    centre = centre + offset(TRANSLATION, name, '')[:, None] * DIRECTION.get(name, (0, 0))
    if name == 'shake':
        centre = centre + shake
    turn = offset(TURN, 'clockwise', 'counterclockwise')
    log_sizes = math.log(RADIUS[1] / RADIUS[0])
    log_size = (log_size * log_sizes + offset(GROWTH, 'approach', 'recede')) % log_sizes
    distances = DISTANCE[1] - DISTANCE[0]
    distance = (distance * distances + offset(DISTANCE_CHANGE, 'part', 'meet')) % distances
    return Trajectory(
        centre=centre % REFERENCE_SIZE * scale,
        angle=angle + turn,
        distance=(DISTANCE[0] + distance) * scale,
        radius=RADIUS[0] * np.exp(log_size[:, None] + own_size) * scale,
        spin=np.array(spin) + turn[:, None],
    )


def _shake(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Offsets (T, 2) from t = 0 on an ellipse, run through either way.

    Not on a line: sampled near twice a period, a line's ends would look still in some phases.
    """
    period = rng.uniform(*SHAKE_PERIOD)
    amplitude = rng.uniform(*SHAKE_AMPLITUDE)
    direction, phase = rng.uniform(0, 2 * math.pi, 2)
    sense = rng.choice([-1, 1])
    cycle = phase + sense * 2 * math.pi * t / period
    along = np.array([math.cos(direction), math.sin(direction)])
    across = np.array([-math.sin(direction), math.cos(direction)])
    path = amplitude * (np.sin(cycle)[:, None] * along + 0.5 * np.cos(cycle)[:, None] * across)
    return path - path[0]


def _texture(rng: np.random.Generator, size: int, cells: int, channels: int) -> np.ndarray:
    """Smooth noise (size, size, channels), float32, around 0 within about +-1; it wraps around."""
    grid = rng.uniform(-1, 1, (cells, cells, channels)).astype(np.float32)
    step = cells / size
    noise = cv2.warpAffine(
        grid,
        np.array([[step, 0, 0], [0, step, 0]]),
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    return noise.reshape(size, size, channels)


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB (3,) in 0..255, float32; all arguments from 0 to 1."""
    hsv = np.array([[[hue % 1 * 360, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255


def _background(seed: int, size: int) -> np.ndarray:
    """(size, size, 3) uint8, pale enough for the objects to stand out; it wraps around."""
    rng = _generator(seed, 'background')
    base = _hsv(rng.uniform(), rng.uniform(0, 0.45), rng.uniform(0.2, 0.8))
    noise = sum(
        weight * _texture(rng, size, cells, 3) for cells, weight in ((3, 0.6), (8, 0.3), (24, 0.2))
    )
    noise += _texture(rng, size, 12, 1) * 0.3
    return (base + rng.uniform(25, 50) * noise).clip(0, 255).astype(np.uint8)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """A blob or a polygon, (P, 2) float64, its farthest point at 1 from the origin."""
    if rng.uniform() < 0.5:
        around = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        wave = np.arange(1, 5)[:, None]
        depth = rng.uniform(0, 0.45, (4, 1)) / wave
        reach = 1 + (depth * np.cos(wave * around + rng.uniform(0, 2 * math.pi, (4, 1)))).sum(0)
    else:
        corners = rng.integers(3, 8)
        around = (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) * 2 * math.pi / corners
        reach = rng.uniform(0.65, 1, corners)
    points = reach[:, None] * np.stack([np.cos(around), np.sin(around)], -1)
    return points / np.linalg.norm(points, axis=1).max()


def _fill(outline: np.ndarray, side: int, reach: float) -> np.ndarray:
    """The outline as a smooth-edged mask (side, side, 1), float32 from 0 to 1."""
    fine = 4
    points = (outline * reach + side / 2) * fine - 0.5
    mask = np.zeros((side * fine, side * fine), np.uint8)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255)
    mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    return mask[..., None].astype(np.float32) / 255


class _Sprite:
    """An object drawn once, at its largest and halved again and again, pasted at any size.

    Args:
        rng: Draws shape and colours.
        reach: The largest radius that it will be pasted at, pixels.
        rim: Colour of its edge, (3,) in 0..255.
    """

    def __init__(self, rng: np.random.Generator, reach: float, rim: np.ndarray) -> None:
        side = 8 * math.ceil((2 * reach + 4) / 8)
        outline = _outline(rng)
        inner = _fill(outline, side, 0.86 * reach)
        hue = rng.uniform()
        one = _hsv(hue, rng.uniform(0.6, 1), rng.uniform(0.7, 1))
        other = _hsv(hue + rng.uniform(0.2, 0.8), rng.uniform(0.4, 1), rng.uniform(0.2, 1))
        mix = np.clip(0.5 + 4 * _texture(rng, side, 4, 1), 0, 1)
        colour = one * (1 - mix) + other * mix
        # A spot off the centre shows how the object is turned, even where its shape is round.
        around = rng.uniform(0, 2 * math.pi)
        spot = np.array([[math.cos(a), math.sin(a)] for a in np.linspace(0, 2 * math.pi, 16)])
        spot = 0.26 * spot + 0.4 * np.array([math.cos(around), math.sin(around)])
        colour += (_hsv(0, 0, rng.choice([0.02, 1.0])) - colour) * _fill(spot, side, reach)
        colour = rim + (colour - rim) * inner
        alpha = _fill(outline, side, reach)
        image = np.concatenate([colour * alpha, alpha], axis=-1)  # premultiplied: halving is exact
        self.levels = [(reach, image)]
        while side % 4 == 0 and reach > 4:
            side, reach = side // 2, reach / 2
            image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            self.levels.append((reach, image))

    def paste(
        self, frame: np.ndarray, position: np.ndarray, radius: float, spin: float = 0.0
    ) -> None:
        """Draw on ``frame`` (size, size, 3) uint8, in place, wrapping around its edges."""
        # The smallest level that is not enlarged: bilinear sampling then skips no texel.
        reach, image = [level for level in self.levels if level[0] >= radius][-1]
        corner = np.floor(position - radius - 1)
        side = math.ceil(2 * radius) + 4
        zoom = reach / radius
        cos, sin = zoom * math.cos(spin), zoom * math.sin(spin)
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = turn @ (corner - position) + (image.shape[0] - 1) / 2
        patch = cv2.warpAffine(
            image,
            np.column_stack([turn, shift]),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        columns, rows = (corner.astype(int)[:, None] + np.arange(side)) % frame.shape[0]
        region = np.ix_(rows, columns)
        frame[region] = frame[region] * (1 - patch[..., 3:]) + patch[..., :3] + 0.5


def render_clip(
    label: int, seed: int, num_frames: int = 24, size: int = 128, difficulty: str = 'clean'
) -> np.ndarray:
    """Render one clip; the same arguments give the same bytes.

    Clips of one seed show the same objects and background whatever their label, and their first
    frames are identical; a harder clip is the easier one of its seed with more in it.

    Args:
        label: Index of the class in ``CLASSES``.
        seed: Any integer >= 0; decides everything that the label does not.
        num_frames: T, at least 2.
        size: Height and width in pixels, at least 32.
        difficulty: ``clean``; ``distractors`` adds small objects that move on their own;
            ``camera_shake`` adds to these a jitter of the whole frame and pixel noise.

    Returns:
        (T, size, size, 3) uint8, RGB.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(label, seed, num_frames, size, difficulty)
    scale = size / REFERENCE_SIZE
    background = _background(seed, size)
    rim = np.full(3, 15.0 if background.mean() > 115 else 240.0, np.float32)

    pair = trajectory(label, seed, num_frames, size)
    positions = pair.positions()
    rng = _generator(seed, 'objects')
    reach = RADIUS[1] * math.exp(OWN_SIZE) * scale
    sprites = [_Sprite(rng, reach, rim) for _ in range(2)]

    small = []
    if difficulty != 'clean':
        rng = _generator(seed, 'distractors')
        small = [_distractor(rng, scale, rim, num_frames) for _ in range(DISTRACTORS)]

    jitter = np.zeros((num_frames, 2))
    if difficulty == 'camera_shake':
        rng = _generator(seed, 'camera')
        jitter = rng.uniform(-CAMERA_JITTER, CAMERA_JITTER, (num_frames, 2)) * scale

    clip = np.empty((num_frames, size, size, 3), np.uint8)
    for t, frame in enumerate(clip):
        frame[:] = _shifted(background, jitter[t])
        for sprite, path, radius in small:
            sprite.paste(frame, path[t] + jitter[t], radius)
        for i, sprite in enumerate(sprites):
            sprite.paste(frame, positions[t, i] + jitter[t], pair.radius[t, i], pair.spin[t, i])
        if difficulty == 'camera_shake':
            noise = rng.standard_normal((size, size, 1), np.float32) * PIXEL_NOISE
            frame[:] = (frame + noise).clip(0, 255) + 0.5
    return clip


def _distractor(
    rng: np.random.Generator, scale: float, rim: np.ndarray, num_frames: int
) -> tuple[_Sprite, np.ndarray, float]:
    """An object, its path (T, 2) and its radius, whatever the class."""
    radius = rng.uniform(*DISTRACTOR_RADIUS) * scale
    start = rng.uniform(0, REFERENCE_SIZE, 2)
    heading = rng.uniform(0, 2 * math.pi)
    step = rng.uniform(*DISTRACTOR_SPEED) * np.array([math.cos(heading), math.sin(heading)])
    path = (start + np.arange(num_frames)[:, None] * step) * scale
    return _Sprite(rng, radius, rim), path, radius


def _shifted(background: np.ndarray, by: np.ndarray) -> np.ndarray:
    if not by.any():
        return background
    return cv2.warpAffine(
        background,
        np.array([[1, 0, by[0]], [0, 1, by[1]]]),
        background.shape[:2],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
