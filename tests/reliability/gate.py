"""A training that stops where a drill wants it, and goes on when told; configs import the hook."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

CONFIG = """
custom_imports = dict(imports=['mmaction_emim', 'tests.reliability.gate'],
    allow_failed_imports=False)
default_hooks['gate'] = dict(type='GateHook', folder='{folder}', step={step}, mode='{mode}')
"""


@HOOKS.register_module()
class GateHook(Hook):
    """Waits until the file ``open`` is in ``folder``.

    In the mode ``'train'`` that is before the step after ``step``, in the mode ``'val'`` in the
    validation there, before its second batch.
    """

    def __init__(self, folder: str, step: int, mode: str) -> None:
        self.folder, self.step, self.mode = Path(folder), step, mode

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        if self.mode == 'train' and runner.iter == self.step:
            self._wait()

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        if self.mode == 'val' and runner.iter == self.step and batch_idx == 1:
            self._wait()

    def _wait(self) -> None:
        (self.folder / f'waits_{os.getpid()}').touch()
        while not (self.folder / 'open').exists():
            time.sleep(0.01)


class Gate:
    """Where each process of a training waits; the arguments are the hook's."""

    def __init__(self, folder: Path, step: int, mode: str = 'train') -> None:
        folder.mkdir()
        self.folder, self.step, self.mode = folder, step, mode

    def config(self) -> str:
        return CONFIG.format(folder=self.folder, step=self.step, mode=self.mode)

    def reached(self, processes: int = 1) -> Callable[[], bool]:
        """Whether so many processes wait."""
        return lambda: len(list(self.folder.glob('waits_*'))) >= processes

    def open(self) -> None:
        (self.folder / 'open').touch()
