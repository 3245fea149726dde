"""tools/slurm_train.sh on a Slurm of this machine: a job that is requeued, a task that dies."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .jobs import ROOT, SECONDS, Variant, differences
from .slurm import missing, slurm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing(), reason='Slurm is missing: slurmctld, slurmd'),
]
TWO = Variant('two processes', processes=2)


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp('slurm')) as environ:
        yield environ


class Submitted:
    """A batch job of two tasks that train as ``TWO``."""

    def __init__(self, cluster, config, work):
        self.work, self.log = work, work.with_name('slurm.log')
        self.environ = {
            **cluster,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'PYTHONPATH': str(ROOT),
            'OMP_NUM_THREADS': '1',
            **dict(GPUS='2', GPUS_PER_NODE='2', CPUS_PER_TASK='1', MASTER_ADDR='127.0.0.1'),
        }
        tool = f'{ROOT}/tools/slurm_train.sh drill drill {config} --work-dir {work} --seed 3'
        batch = ['sbatch', '--parsable', '--requeue', '--ntasks=2', '--gres=gpu:2']
        batch += [f'--output={self.log}', '--open-mode=append', f'--chdir={ROOT}', '--wrap', tool]
        self.id = self.slurm(*batch).strip()

    def slurm(self, *command):
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until(self, moment):
        deadline = time.monotonic() + SECONDS
        while not moment():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def state(self):
        shown = self.slurm('scontrol', 'show', 'job', self.id)
        return shown.partition('JobState=')[2].split()[0]

    def task(self, rank):
        """The process of a task, which leads none of Slurm's."""
        for folder in Path('/proc').glob('[0-9]*'):
            try:
                environ = (folder / 'environ').read_bytes().split(b'\0')
                command = (folder / 'cmdline').read_bytes().split(b'\0')
            except OSError:
                continue
            ours = {f'SLURM_PROCID={rank}'.encode(), f'SLURM_JOB_ID={self.id}'.encode()}
            if ours <= {*environ} and f'{ROOT}/tools/train.py'.encode() in command:
                return int(folder.name)
        raise LookupError(f'no task {rank}: {self.log.read_text()[-2000:]}')


@pytest.fixture
def submitted(cluster, drills, gate, tmp_path):
    """It waits at the gate."""
    config = TWO._replace(more=gate.config()).config(drills.data, tmp_path)
    job = Submitted(cluster, config, tmp_path / 'work')
    job.until(gate.reached(2))
    yield job
    subprocess.run(['scancel', job.id], env=job.environ, check=False)


def test_a_job_that_is_requeued_resumes(drills, submitted, gate):
    whole, _ = drills.uninterrupted(TWO)
    submitted.slurm('scontrol', 'requeue', submitted.id)
    submitted.until(lambda: submitted.state() == 'PENDING')
    gate.open()
    # Of a job that was killed within this second slurmd refuses another start.
    submitted.slurm('scontrol', 'update', f'JobId={submitted.id}', 'StartTime=now+5')
    submitted.until(lambda: submitted.state() not in ('PENDING', 'RUNNING', 'COMPLETING'))
    said = submitted.log.read_text()
    assert submitted.state() == 'COMPLETED', said[-3000:]
    assert 'the job was restarted' in said and 'resumed epoch: ' in said
    assert differences(submitted.work, whole) == []


def test_a_task_that_dies_ends_the_job(submitted):
    os.kill(submitted.task(1), 9)
    submitted.until(lambda: submitted.state() not in ('RUNNING', 'COMPLETING'))
    assert submitted.state() == 'FAILED'
    assert 'task 1: Killed' in submitted.log.read_text()
