"""What tools/dist_train.sh hands to torchrun and what to train.py."""

import os
import subprocess

import pytest

from ..conftest import ROOT


@pytest.fixture
def command(tmp_path):
    """The words of the command that the script ends with, by a ``python`` that writes them."""
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nenv | grep -e TORCH_ -e LAUNCHER_PID\n')
    python.chmod(0o755)

    def command(*arguments, **environ):
        environ = {'PATH': f'{tmp_path}:{os.environ["PATH"]}', **environ}
        tool = str(ROOT / 'tools' / 'dist_train.sh')
        done = subprocess.run([tool, *arguments], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return command


def options(words):
    """(torchrun's, train.py's)."""
    train = next(i for i, word in enumerate(words) if word.endswith('train.py'))
    return words[:train], words[train + 1 :]


def test_without_restarts(command):
    torchrun, train = options(command('c.py', '2', '--cfg-options', 'a.b="x y"', PORT='7'))
    assert torchrun[:2] == ['-m', 'torch.distributed.run']
    assert '--nproc-per-node=2' in torchrun and '--master-port=7' in torchrun
    assert not any(word.startswith(('--rdzv', '--max-restarts')) for word in torchrun)
    assert train[:5] == ['c.py', '--launcher', 'pytorch', '--cfg-options', 'a.b="x y"']
    assert train[-1].startswith('LAUNCHER_PID=')


@pytest.mark.parametrize(
    'arguments, environ',
    [
        (['--max-restarts', '3'], {}),
        (['--amp', '--max-restarts=3'], {}),
        (['--max_restarts', '3'], {}),
        ([], dict(PET_MAX_RESTARTS='3')),
    ],
    ids=['two words', 'one', 'underscore', 'environment'],
)
def test_restarts(command, arguments, environ):
    words = command('c.py', '2', *arguments, NNODES='2', NODE_RANK='1', **environ)
    torchrun, train = options(words)
    assert '--max-restarts=3' in torchrun and '--rdzv-conf=is_host=0' in torchrun
    assert not any('restarts' in word for word in train)
    assert ('--amp' in train) == ('--amp' in arguments)
    assert 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1' in words


def test_restarts_on_one_node(command):
    torchrun, _ = options(command('c.py', '2', '--max-restarts=3'))
    assert '--standalone' in torchrun and '--local-addr=127.0.0.1' in torchrun
    assert not any(word.startswith('--rdzv') for word in torchrun)


def test_other_options_of_torchrun(command):
    torchrun, _ = options(command('c.py', '2', TORCHRUN_ARGS='--log-dir=logs --tee=3'))
    assert torchrun[-2:] == ['--log-dir=logs', '--tee=3']
