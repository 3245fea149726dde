from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .drills import Drills
from .gate import Gate
from .jobs import STEPS, VARIANTS, Job, Server, Variant


@pytest.fixture(scope='session')
def drills(tmp_path_factory, motion_shapes: Path) -> Iterator[Drills]:
    server = Server()
    yield Drills(server, motion_shapes, tmp_path_factory.mktemp('drills'))
    server.close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """In the midst of the second epoch: the first one's checkpoint is there."""
    return Gate(tmp_path / 'gate', STEPS + 1)


@pytest.fixture
def start_and_wait(drills: Drills, gate: Gate) -> Callable[..., Job]:
    """As ``drills.start`` of ``VARIANTS[0]``, or another; returns once it waits at the gate."""

    def start_and_wait(work: Path, *more: str, variant: Variant = VARIANTS[0], **others) -> Job:
        gated = variant._replace(more=variant.more + gate.config())
        job = drills.start(gated, work, *more, **others)
        assert job.reached(gate.reached(variant.processes), 0.01), job.log.read_text()[-3000:]
        return job

    return start_and_wait
