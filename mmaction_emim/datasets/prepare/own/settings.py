"""A network's settings for the clips that were found, and why."""

import re
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from .describe import Description

NETWORKS = ('small', 'tiny')
LONGEST_WHOLE = 10.0  # seconds: of longer clips a part is taken at a time
SPAN = 2.0  # seconds of such a part
SIDES = {'small': (112, 128, 160, 192, 224), 'tiny': (32, 64)}
DIRECTIONS = re.compile(
    r'(?<![a-z])((left|right)(most|wards?)?|(counter|anti)?[\W_]*clock[\W_]*wise|c?cw)(?![a-z])',
    re.I,
)
CAMEL_CASE = re.compile(r'(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])')  # between its words


class Settings(NamedTuple):
    """What the config says; each has its reason in ``why``, by its name.

    Attributes:
        clip_len: Frames of a view.
        span: Frames of the clip that a view is spread over; 0: the whole clip.
        size: Height and width of a view, in pixels.
        flip: Whether mirrored clips keep their class.
        batch_size: Clips a step.
        max_epochs: Passes.
        lr: Highest learning rate.
        why: Comments, by the name of the setting.
    """

    clip_len: int
    span: int
    size: int
    flip: bool
    batch_size: int
    max_epochs: int
    lr: float
    why: dict[str, str]


def choose(clips: Sequence[Description], classes: Sequence[str], network: str) -> Settings:
    """Settings for clips to train on.

    Args:
        clips: Descriptions of the clips to train on; one at least.
        classes: Their names.
        network: ``'small'``, fine-tuned, or ``'tiny'``, from scratch.
    """
    frames = median(clip.frames for clip in clips)
    small = network == 'small'
    clip_len = 16 if small and frames >= 12 else 8
    seconds = [clip.seconds for clip in clips if clip.seconds] or [0.0]
    longest = quantiles(seconds, n=10, method='inclusive')[-1] if len(seconds) > 1 else seconds[0]
    rate = median([clip.fps for clip in clips if clip.fps] or [25.0])
    span = 0 if longest <= LONGEST_WHOLE else max(clip_len, round(SPAN * rate))
    interval = max(1, round(span / clip_len))
    side = median(min(clip.height, clip.width) for clip in clips)
    size = min(SIDES[network], key=lambda size: (abs(size - side), -size))
    named = next(_directions(classes), None)
    batch_size = max(2, min(8, len(clips) // 8))
    steps = -(-len(clips) // batch_size)
    # From scratch the loss stays longer at that of guessing the more classes there are.
    wanted = 1500 if small else min(2500, max(800, 250 * len(classes)))
    max_epochs = min(100, max(10, -(-wanted // steps)))
    lr = float(f'{(5e-5 if small else 7e-4) * batch_size / 8:.2g}')
    sides = sorted({min(clip.height, clip.width) for clip in clips})
    spread = f'{min(seconds):.1f} to {max(seconds):.1f} s, median {median(seconds):.1f}'
    fps = sorted({round(clip.fps) for clip in clips if clip.fps}) or [0]
    return Settings(
        clip_len,
        interval * clip_len if span else 0,
        size,
        named is None,
        batch_size,
        max_epochs,
        lr,
        dict(
            clip_len=f'Clips have {min(c.frames for c in clips)} to '
            f'{max(c.frames for c in clips)} frames, median {frames:g}.',
            sample=f'{spread} at {_range(fps)} frames a second: '
            + (
                f'a view is {interval * clip_len / rate:.1f} s at {rate:g} of them.'
                if span
                else 'a view is spread over the whole clip.'
            ),
            size=f'The short sides are {_range(sides)} pixels, median {side:g}.',
            flip='No class is named left, right or clockwise.'
            if named is None
            else f'No Flip: {named!r} would be another class.',
            batch_size=f'{steps} steps an epoch.',
            max_epochs=f'{steps * max_epochs} steps.',
        ),
    )


def _directions(classes: Sequence[str]) -> Iterator[str]:
    """The classes whose mirrored clips are of another, by their names."""
    lower = {name.lower() for name in classes}
    for name in classes:
        mirrored = name.lower().replace('left', 'right')
        has_twin = mirrored != name.lower() and mirrored in lower  # such as turnleft, turnright
        if has_twin or DIRECTIONS.search(CAMEL_CASE.sub(' ', name)):
            yield name


def _range(numbers: Sequence[int]) -> str:
    return f'{numbers[0]}' if numbers[0] == numbers[-1] else f'{numbers[0]} to {numbers[-1]}'
