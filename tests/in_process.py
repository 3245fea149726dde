"""Tools in the process of the tests, where all that they import is imported already."""

import gc
import multiprocessing
import os
import random
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import cv2
import numpy as np
import torch
from mmaction.visualization import ActionVisualizer
from mmengine.fileio.handlers import file_handlers
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

# MMEngine keeps an instance by name of each for the whole process.
MANAGERS = (ActionVisualizer, DefaultScope, MessageHub, MMLogger, Visualizer)
SIGNALS = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)


def call(root: Path, tool: str, *arguments: str) -> CompletedProcess:
    """``python TOOL ARGUMENTS`` in ``root``; what processes of its own print is not captured."""
    path, out, err, code = root / tool, StringIO(), StringIO(), 0
    with _as_a_process(root), redirect_stdout(out), redirect_stderr(err):
        sys.argv = [tool, *arguments]
        sys.path.insert(0, str(path.parent))
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as stop:
            code = stop.code or 0
    return CompletedProcess([tool, *arguments], code, out.getvalue(), err.getvalue())


@contextmanager
def _as_a_process(folder: Path) -> Iterator[None]:
    """What a tool sets for its whole process is as before afterwards."""
    cwd, numpy_state, python_state = Path.cwd(), np.random.get_state(), random.getstate()
    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    start_method = multiprocessing.get_start_method(allow_none=True)
    children, handlers = multiprocessing.active_children(), [*map(signal.getsignal, SIGNALS)]
    instances = [manager._instance_dict.copy() for manager in MANAGERS]
    with (
        patch.dict(os.environ),
        patch.object(sys, 'argv', []),
        patch.dict(file_handlers),
        patch.object(sys, 'path', [*sys.path]),
        torch.random.fork_rng(devices=[]),
    ):
        for manager in MANAGERS:
            manager._instance_dict.clear()
        os.chdir(folder)
        try:
            yield
        finally:
            # Of workers that are ended torch's handler would raise an error, here.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in multiprocessing.active_children():  # a loader's workers
                if child not in children and child.daemon:
                    child.kill()  # SIGTERM is lost on a fork that has just begun and has a handler
                    child.join()
            for number, handler in zip(SIGNALS, handlers, strict=True):
                signal.signal(number, handler)
            os.chdir(cwd)
            np.random.set_state(numpy_state)
            random.setstate(python_state)
            torch.set_num_threads(threads)
            cv2.setNumThreads(cv2_threads)
            multiprocessing.set_start_method(start_method, force=True)
            if MessageHub._instance_dict:
                gc.collect()  # a runner is in cycles, and so is its network
            for logger in MMLogger._instance_dict.values():
                for handler in logger.handlers:
                    handler.close()
            for manager, kept in zip(MANAGERS, instances, strict=True):
                manager._instance_dict.clear()
                manager._instance_dict.update(kept)
