"""The study's data sets, and what the networks are tested on."""

from pathlib import Path
from typing import Any, NamedTuple

from mmaction_emim.datasets.motion_shapes import CLASSES, DIFFICULTIES, MIRROR
from projects.motion_study.processes import run_tool

BATCH = 16  # that of configs/protocol.py
LONG = 'long'  # clean test clips of LONG_FRAMES frames, for longer and faster samples
LONG_FRAMES = 48
STILL = CLASSES.index('still')
MIRRORED = [CLASSES.index(MIRROR[name]) for name in CLASSES]

SPACED = dict(type='SampleFrames', clip_len=8, frame_interval=3)
SPREAD = dict(type='UniformSample', clip_len=8)  # over the whole clip


class Data(NamedTuple):
    """Where clips are and how frames are sampled; its lists say "path label"."""

    name: str
    root: Path
    train: str
    test: str
    num_classes: int
    sampling: dict[str, Any]

    @property
    def num_train(self) -> int:
        return len((self.root / self.train).read_text().splitlines())

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_train // BATCH)


class Test(NamedTuple):
    """A way to test: changes of the sampling and of the frame size, and what is expected.

    Attributes:
        name: Name of the test.
        order: See FrameOrder.
        sampling: Changes of the sampling step.
        scale: Width and height in pixels.
        long: Whether on the long clips.
        expected: The outcome, written before any run.
    """

    name: str
    order: str = 'forward'
    sampling: dict[str, Any] = {}
    scale: tuple[int, int] = (64, 64)
    long: bool = False
    expected: str = ''


FORWARD = Test('forward')
CONTROLS = (
    Test('reversed', order='reversed', expected='mirrored labels as right as labels were forward'),
    Test('shuffled', order='shuffled', expected='far below forward: shake and still remain'),
    Test('static', order='static', expected='all clips called still'),
)
SHIFTS = (
    *(
        Test(
            f'speed x{interval / 3:.2g}',
            sampling=dict(frame_interval=interval),
            long=True,
            expected='as forward' if interval == 3 else f'below; {displacement} tokens a step',
        )
        for interval, displacement in (
            (1, '0.2-0.4'),
            (2, '0.4-0.9'),
            (3, '0.7-1.3'),
            (4, '0.9-1.8'),
            (6, '1.3-2.6'),
        )
    ),
    *(
        Test(f'{T} frames', sampling=dict(clip_len=T), long=True, expected='near 8 frames')
        for T in (4, 12, 16)
    ),
    *(
        Test(f'{w} x {h} pixels', scale=(w, h), expected='near 64 x 64, or below')
        for w, h in ((48, 48), (96, 96), (96, 64), (64, 96), (128, 128))
    ),
)


def motion_shapes(name: str, folder: Path, clips: int) -> Data:
    """Generate a difficulty of MotionShapes, or the long test clips; made once.

    Args:
        name: A difficulty, or ``'long'``.
        folder: Folder of all data sets.
        clips: Training clips a class; test clips are a sixth.
    """
    out = folder / name
    if name == LONG:
        what = ['--frames', LONG_FRAMES, '--seed', 1, '--train', 1]
    else:
        what = ['--difficulty', name, '--train', clips]
    what += ['--test', max(clips // 6, 1)]
    run_tool('tools/data/motion_shapes/generate.py', '--out', out, *what, check=True)
    return Data(name, out, 'train.txt', 'test.txt', len(CLASSES), SPACED)


REAL = {
    'digits': ('grid_digits', 'digit_train.txt', 'digit_test.txt', 10),
    'fight': ('fight', 'train.txt', 'test.txt', 2),
}
NAMES = (*DIFFICULTIES, *REAL)


def real_clips(name: str, folder: Path | None) -> Data | None:
    """One of REAL, or None where ``folder`` does not hold it."""
    directory, train, test, num_classes = REAL[name]
    root = folder / directory if folder else None
    if root is None or not all((root / file).is_file() for file in (train, test)):
        return None
    return Data(name, root, train, test, num_classes, SPREAD)


def chance_of(name: str) -> float:
    """Top-1 of guessing every class of one of NAMES as often."""
    return 1 / (REAL[name][-1] if name in REAL else len(CLASSES))
