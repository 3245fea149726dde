import json
import subprocess
import sys

import pytest
from mmengine.registry import init_default_scope

from projects.motion_study.arms import choose
from projects.motion_study.data import SPACED, Data
from projects.motion_study.runs import Run, RunExecutor, compose, locked


@pytest.fixture
def run(tmp_path):
    init_default_scope('mmaction')
    (tmp_path / 'train.txt').write_text('clip.mp4 0\n' * 40)
    (arm,) = choose(['vit-tiny/global'])
    return Run(arm, Data('clean', tmp_path, 'train.txt', 'test.txt', 12, SPACED), 0, 3)


def test_a_lock_is_held_while_a_command_lives(tmp_path):
    path = tmp_path / 'lock'
    with locked(path) as lock:
        left = subprocess.Popen(
            [sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with pytest.raises(RuntimeError, match=f'{tmp_path}: a study, or a training it left'):
        with locked(path):
            pass
    left.communicate(b'\n')
    with locked(path):
        pass


def test_a_run_that_another_process_is_at_is_left_alone(run, tmp_path):
    executor = RunExecutor(tmp_path, threads=1)
    folder = executor.result_path(run).parent
    folder.mkdir(parents=True)
    with locked(folder / 'lock'):
        with pytest.raises(RuntimeError, match=f'{folder}: a study, or a training it left'):
            executor.execute(run)
    assert [path.name for path in folder.iterdir()] == ['lock']


def test_a_finished_run_is_not_repeated_and_no_other_is_taken_for_it(run, tmp_path):
    executor = RunExecutor(tmp_path, threads=1)
    path = executor.result_path(run)
    path.parent.mkdir(parents=True)
    path.with_name('config.py').write_text(compose(run).pretty_text)
    result = {'tests': {'forward': {'top1': 0.5}}}
    path.write_text(json.dumps(result))
    assert executor.execute(run) == result
    path.with_name('config.py').write_text(compose(run._replace(lr=1e-2)).pretty_text)
    with pytest.raises(ValueError, match=f'{path.parent}: holds a run of another config; delete'):
        executor.execute(run)
