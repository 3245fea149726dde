import subprocess
import sys

import pytest

from projects.motion_study.runs import locked


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
