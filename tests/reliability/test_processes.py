"""Jobs of tools/dist_train.sh of which a process, the launcher or a node is killed."""

import os
import signal

import pytest

from ..ports import free_port
from .jobs import EPOCHS, SECONDS, Launched, Variant, differences, state

pytestmark = pytest.mark.slow

TWO = Variant('two processes', processes=2)


@pytest.fixture
def launch(drills, gate, tmp_path):
    """Starts jobs of two processes that train as ``TWO`` and wait at the gate; none is left."""
    jobs = []

    def launch(*more: str, processes: int = 2, **environ: str) -> Launched:
        config = TWO._replace(more=gate.config()).config(drills.data, tmp_path)
        jobs.append(Launched(config, tmp_path / 'work', processes, *more, **environ))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.kill()
        job.process.wait()


def test_the_launcher_is_killed(drills, launch, gate, tmp_path):
    """Its processes end, and what they wrote is resumed."""
    job = launch()
    job.until(gate.reached(2))
    job.kill(job.process.pid)
    gate.open()
    assert job.gone(SECONDS)
    whole, _ = drills.uninterrupted(TWO)
    assert drills.start(TWO, tmp_path / 'work', '--resume').wait() == [0, 0]
    assert differences(tmp_path / 'work', whole) == []


def test_restarts_resume_by_themselves(drills, launch, gate, tmp_path):
    """Also of the process that all meet at."""
    whole, _ = drills.uninterrupted(TWO)
    job = launch('--max-restarts', '2')
    job.until(gate.reached(2))
    job.kill(job.rank(0))
    gate.open()
    assert job.wait() == 0, job.text()[-3000:]
    assert 'the job was restarted' in job.text() and 'resumed epoch: ' in job.text()
    assert differences(tmp_path / 'work', whole) == []


def test_a_process_that_dies_is_named(launch, gate):
    job = launch()
    job.until(gate.reached(2))
    job.kill(job.rank(1))
    assert job.wait() == 1
    assert 'rank      : 1 (local_rank: 1)' in job.text() and 'exitcode  : -9' in job.text()


def test_a_process_that_hangs(launch, gate):
    job = launch('--cfg-options', 'env_cfg.dist_cfg.timeout=40')
    job.until(gate.reached(2))
    os.kill(job.rank(1), signal.SIGSTOP)
    gate.open()
    assert job.wait() == 1  # torchrun gives the one that hangs 30 seconds more
    assert 'error: process 0 of 2, on ' in job.text() and 'did not answer in time' in job.text()
    assert job.gone(SECONDS)


def node(launch, number, port, *more):
    return launch(*more, processes=1, NNODES='2', NODE_RANK=str(number), PORT=port)


def test_two_nodes_of_which_one_is_lost(launch, gate):
    port = free_port()
    first, second = node(launch, 0, port), node(launch, 1, port)
    first.until(gate.reached(2))
    second.kill()
    gate.open()
    assert first.wait() == 1
    assert 'another process of this job has ended' in first.text()


def test_two_nodes_of_which_one_is_lost_and_comes_back(drills, launch, gate, tmp_path):
    whole, _ = drills.uninterrupted(TWO)
    port, local = free_port(), '--max-restarts=2'
    first, second = node(launch, 0, port, local), node(launch, 1, port, local)
    first.until(gate.reached(2))
    second.kill()
    gate.open()
    third = node(launch, 1, port, local)
    assert [first.wait(), third.wait()] == [0, 0], first.text()[-3000:]
    assert differences(tmp_path / 'work', whole) == []
    assert f'epoch_{EPOCHS}.pth: ' in ' '.join(state(tmp_path / 'work'))


@pytest.mark.parametrize('restarts', [(), ('--max-restarts=2',)], ids=['', 'restarts'])
def test_two_nodes_of_which_the_first_is_lost(drills, launch, gate, tmp_path, restarts):
    """Which holds the address that all meet at: the other ends, and both are started anew."""
    whole, _ = drills.uninterrupted(TWO)
    port = free_port()
    first, second = node(launch, 0, port, *restarts), node(launch, 1, port, *restarts)
    first.until(gate.reached(2))
    first.kill()
    gate.open()
    assert second.wait() == 1, second.text()[-3000:]
    assert 'another process of this job has ended' in second.text() and second.gone(SECONDS)
    port = free_port()
    both = [node(launch, number, port, '--resume', *restarts) for number in (0, 1)]
    assert [job.wait() for job in both] == [0, 0], both[0].text()[-3000:]
    assert differences(tmp_path / 'work', whole) == []
