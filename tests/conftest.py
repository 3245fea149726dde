import fcntl
import gc
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av  # noqa: F401  before decord: theirs are two builds of libvpx, and the first is used
import cv2
import pytest
import torch

from mmaction_emim.datasets.motion_shapes import CLASSES

from . import in_process

ROOT = Path(__file__).resolve().parents[1]
MOTION_SHAPES = ['--train', '4', '--test', '2', '--size', '32', '--frames', '24']


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays, and no collection of garbage looks at it again.

    MMEngine collects garbage for each dataset that is made: a third of a second otherwise.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
def call() -> Callable[..., subprocess.CompletedProcess]:
    """As ``run`` for a tool, but in this process, seconds faster."""
    return partial(in_process.call, ROOT)


@pytest.fixture(scope='session')
def motion_shapes(request, tmp_path_factory, run) -> Path:
    """A tiny MotionShapes: real mp4 and webm clips, 4 a class to train and 2 to test.

    It is made once; each of several test processes has a copy, in which tests may write.
    """
    base = tmp_path_factory.getbasetemp()
    several = hasattr(request.config, 'workerinput')  # of pytest-xdist, each with a folder in one
    made = (base.parent if several else base) / 'motion_shapes'
    with made.with_suffix('.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = made.with_suffix('.part')
            tool = ['tools/data/motion_shapes/generate.py', '--workers', '1']
            done = run(*tool, '--out', str(part), *MOTION_SHAPES)
            assert done.returncode == 0, done.stderr
            assert len((part / 'train.txt').read_text().splitlines()) == 4 * len(CLASSES)
            part.rename(made)
    return shutil.copytree(made, tmp_path_factory.mktemp('data') / 'motion_shapes')


@pytest.fixture(scope='session')
def frames(motion_shapes) -> Path:
    """The first clips of MotionShapes as folders of JPEG frames, and a list of them."""
    lines = (motion_shapes / 'train.txt').read_text().splitlines()[:2]
    listed = []
    for i, line in enumerate(lines):
        path, label = line.split()
        folder = motion_shapes / 'rawframes' / str(i)
        folder.mkdir(parents=True, exist_ok=True)
        video = cv2.VideoCapture(str(motion_shapes / path))
        count = 0
        while (read := video.read())[0]:
            count += 1
            cv2.imwrite(str(folder / f'{count:05}.jpg'), read[1])
        assert count > 8
        listed.append(f'{i} {count} {label}\n')
    (motion_shapes / 'frames.txt').write_text(''.join(listed))
    return motion_shapes / 'frames.txt'


@pytest.fixture(scope='session')
def authors_weights() -> Callable[..., dict[str, torch.Tensor]]:
    """Makes a state dict with the names and shapes that the authors' checkpoints have."""

    def make(
        depth: list[int],
        dims: list[int],
        emim: bool = True,
        classes: int = 174,
        w: int = 7,
        d: int = 64,
        image: bool = False,
    ) -> dict[str, torch.Tensor]:
        shapes: dict[str, tuple[int, ...]] = {}

        def layer(name: str, *weight: int) -> None:
            if image and len(weight) == 5:
                weight = (*weight[:2], *weight[3:])
            shapes.update({f'{name}.weight': weight, f'{name}.bias': weight[:1]})

        def batch_norm(name: str, dim: int) -> None:
            layer(name, dim)
            shapes.update({f'{name}.running_mean': (dim,), f'{name}.running_var': (dim,)})
            shapes[f'{name}.num_batches_tracked'] = ()

        for i, (fan_in, dim) in enumerate(zip([3, *dims], dims, strict=False), start=1):
            layer(f'patch_embed{i}.norm', dim)
            layer(f'patch_embed{i}.proj', dim, fan_in, *((3, 4, 4) if i == 1 else (1, 2, 2)))
        for i, (n, dim) in enumerate(zip(depth, dims, strict=True), start=1):
            for block in (f'blocks{i}.{j}' for j in range(n)):
                layer(f'{block}.pos_embed', dim, 1, 3, 3, 3)
                if i <= 2:
                    batch_norm(f'{block}.norm1', dim)
                    layer(f'{block}.conv1', dim, dim, 1, 1, 1)
                    layer(f'{block}.conv2', dim, dim, 1, 1, 1)
                    layer(f'{block}.attn', dim, 1, 5, 5, 5)
                    batch_norm(f'{block}.norm2', dim)
                    layer(f'{block}.mlp.fc1', 4 * dim, dim, 1, 1, 1)
                    layer(f'{block}.mlp.fc2', dim, 4 * dim, 1, 1, 1)
                    continue
                layer(f'{block}.norm1', dim)
                if emim and int(block.split('.')[1]) % 2 == 0:
                    shapes[f'{block}.attn.rpb'] = (dim // d, w, w)
                layer(f'{block}.attn.qkv', 3 * dim, dim)
                if f'{block}.attn.rpb' in shapes:
                    layer(f'{block}.attn.motion_conv.0', 4 * w * w, w * w)
                    layer(f'{block}.attn.motion_conv.2', d, 4 * w * w)
                layer(f'{block}.attn.proj', dim, dim)
                layer(f'{block}.norm2', dim)
                layer(f'{block}.mlp.fc1', 4 * dim, dim)
                layer(f'{block}.mlp.fc2', dim, 4 * dim)
        batch_norm('norm', dims[-1])
        layer('head', classes, dims[-1])
        generator = torch.Generator().manual_seed(0)
        return {
            name: torch.randn(shape, generator=generator) if shape else torch.tensor(3)
            for name, shape in shapes.items()
        }

    return make
