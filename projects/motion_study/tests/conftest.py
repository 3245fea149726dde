import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av  # noqa: F401  before decord: theirs are two builds of libvpx, and the first is used
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='session')
def root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def run() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a Python file from the project's root and captures what it prints."""

    def run(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip

    return run
