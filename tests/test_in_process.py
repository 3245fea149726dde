"""Tools that are called in the tests' process leave it as it was."""

import multiprocessing
import os
import random
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, init_default_scope

from .in_process import call

TOOL = """
import multiprocessing, os, random, signal, sys, time
import cv2, numpy, torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
import sibling

if __name__ == '__main__':
    os.environ['SET_BY_A_TOOL'] = '1'
    torch.set_num_threads(torch.get_num_threads() + 1)
    cv2.setNumThreads(cv2.getNumThreads() + 1)
    torch.manual_seed(7), numpy.random.seed(7), random.seed(7)
    init_default_scope('mmaction')
    MMLogger.get_instance('a_tool', log_file='tool.log').info('logged')
    multiprocessing.set_start_method('fork', force=True)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    multiprocessing.Process(target=time.sleep, args=(3600,), daemon=True).start()
    print(sys.argv, os.getcwd())
    print('warned', file=sys.stderr)
    sys.exit(3)
"""


def state():
    return (
        dict(os.environ),
        [*sys.path],
        [*sys.argv],
        Path.cwd(),
        torch.get_num_threads(),
        cv2.getNumThreads(),
        multiprocessing.get_start_method(allow_none=True),
        [child.pid for child in multiprocessing.active_children()],
        [*MMLogger._instance_dict],
        [*DefaultScope._instance_dict],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        *map(signal.getsignal, (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)),
    )


def test_a_tool_leaves_no_trace(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'tool.py').write_text(TOOL)
    (tmp_path / 'tools' / 'sibling.py').write_text('')
    init_default_scope('mmaction')
    before = state()
    done = call(tmp_path, 'tools/tool.py', '--x')
    assert state() == before
    assert done.returncode == 3 and done.stderr.endswith('warned\n')
    argv = [str(tmp_path / 'tools' / 'tool.py'), '--x']
    assert done.stdout.endswith(f'{argv} {tmp_path}\n')
    assert 'logged' in done.stdout and 'logged' in (tmp_path / 'tool.log').read_text()
