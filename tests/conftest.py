import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av  # noqa: F401  before decord: with its libvpx, PyAV cannot write webm
import pytest

from mmaction_emim.datasets.motion_shapes import CLASSES

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def run() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command from the project's root and captures what it prints."""

    def run(*command: str, python: bool = True) -> subprocess.CompletedProcess:
        command = [sys.executable, *command] if python else list(command)
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
        )

    return run


@pytest.fixture(scope='session')
def motion_shapes(tmp_path_factory, run) -> Path:
    """A tiny MotionShapes: real mp4 and webm clips, 4 a class to train and 2 to test."""
    out = tmp_path_factory.mktemp('data') / 'motion_shapes'
    sizes = ['--train', '4', '--test', '2', '--size', '32', '--frames', '24']
    done = run('tools/data/motion_shapes/generate.py', '--out', str(out), *sizes)
    assert done.returncode == 0, done.stderr
    assert len((out / 'train.txt').read_text().splitlines()) == 4 * len(CLASSES)
    return out
