"""Trainings that are killed and resumed; `python -m tests.reliability.drills` does many more."""

import json
import re
import socket

import pytest

from ..ports import free_port
from .drills import MOMENTS
from .gate import Gate
from .jobs import SECONDS, STEPS, VARIANTS, Variant, session

pytestmark = pytest.mark.slow

SOME = [VARIANTS[i] for i in (1, 4, 6)]  # of all that they differ in


@pytest.mark.parametrize('variant', SOME, ids=[variant.name for variant in SOME])
def test_at_random_moments(drills, variant):
    assert drills.kill(variant, 2) == (2, [])


@pytest.mark.parametrize('moment', MOMENTS)
@pytest.mark.parametrize('variant', [VARIANTS[0], VARIANTS[3]], ids=['epoch', 'iteration'])
def test_at_the_worst_moments(drills, variant, moment):
    assert drills.kill(variant, 1, MOMENTS[moment]) == (1, [])


def test_statistics_of_two_processes(drills):
    """From a checkpoint that no validation follows, which would share BatchNorm's statistics."""
    assert drills.kill(
        VARIANTS[6], 1, lambda job: job.reached(job.work.joinpath('iter_6.pth').is_file)
    ) == (1, [])


def test_gradients_of_two_processes(drills):
    """From a checkpoint after three iterations, of which two make a step."""
    more = 'optim_wrapper = dict(accumulative_counts=2)\n'
    assert drills.kill(
        Variant('two processes, accumulated', 2, more=more),
        1,
        lambda job: job.reached(job.work.joinpath('epoch_1.pth').is_file),
    ) == (1, [])


def test_a_validation_that_was_killed_is_made(drills, tmp_path):
    variant, work = VARIANTS[0], tmp_path / 'work'
    drills.uninterrupted(variant)
    gate = Gate(tmp_path / 'gate', 2 * STEPS, 'val')
    job = drills.start(variant._replace(more=gate.config()), work)
    assert job.reached(gate.reached(), 0.01), job.log.read_text()[-3000:]
    job.kill(*job.running())
    job.wait()
    assert drills.start(variant, work, '--resume').wait() == [0]
    assert scores(work) == scores(drills.folder / 'by_epoch')


def scores(work):
    """Each validation's epoch and scores, in order."""
    logs = sorted(work.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    keys = ('step', 'acc/top1', 'acc/top5')
    return [{key: line[key] for key in keys} for line in lines if 'acc/top1' in line]


def test_a_second_training_in_the_folder_is_refused(drills, start_and_wait, gate, tmp_path):
    work = tmp_path / 'work'
    first = start_and_wait(work)
    before = {path: path.stat().st_mtime_ns for path in work.glob('*/*.log')}
    second = drills.start(VARIANTS[0], work)
    assert second.wait() == [1]
    (pid,) = first.status
    sentence = f'error: {work}: process {pid} on {socket.gethostname()} (since'
    assert sentence in second.log.read_text()
    assert before.keys() == set(work.glob('*/*.log'))
    gate.open()
    assert first.wait() == [0]


def test_a_process_that_is_killed_ends_the_others(start_and_wait, gate, tmp_path):
    """In bounded time; without a launcher that would end them."""
    job = start_and_wait(tmp_path / 'work', variant=Variant('two', processes=2, workers=2))
    job.kill([*job.status][1])
    gate.open()
    assert job.wait() == [1, -9]
    text = job.log.read_text()
    name = re.escape(socket.gethostname())
    assert re.search(rf'error: process 0 of 2, on {name}: another process of this job has', text)


def test_a_slurm_job_that_was_requeued_resumes(drills, start_and_wait, gate, tmp_path):
    variant, work = VARIANTS[0], tmp_path / 'work'
    task = dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0', SLURM_NODELIST='localhost')
    task.update(SLURM_JOB_ID='7', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    job = start_and_wait(work, '--launcher', 'slurm', **task)
    job.kill(*job.running())
    job.wait()
    job = drills.start(variant, work, '--launcher', 'slurm', SLURM_RESTART_COUNT='1', **task)
    assert job.wait() == [0], job.log.read_text()[-3000:]
    assert 'the job was restarted' in job.log.read_text()
    assert 'resumed epoch: ' in job.log.read_text() and (work / 'epoch_4.pth').is_file()


def test_workers_of_a_killed_process_end(start_and_wait, tmp_path):
    job = start_and_wait(tmp_path / 'work', variant=VARIANTS[1])
    (pid,) = job.status
    workers = [each for each in session(pid) if each != pid]
    assert len(workers) == 2
    job.kill(pid)
    job.wait()
    assert job.gone(workers, SECONDS)
