"""Gaps of torch 2.13."""

import multiprocessing
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .cure import after, replace


@after('torch.utils.data._utils.worker')
def end_workers_whose_parent_was_killed_at_their_start(worker: ModuleType) -> None:
    """A DataLoader's worker lives on for ever where its parent is killed while it starts.

    It compares its parent with the one that it had after ``worker_init_fn``, and then that is
    already the one that takes in orphans (no upstream issue found). Cure: the one that made it.
    """

    def of_the_maker(original: Callable) -> Callable:
        def init(self: Any) -> None:
            original(self)
            if maker := multiprocessing.parent_process():
                self.manager_pid = maker.pid

        return init

    replace(worker.ManagerWatchdog, '__init__', of_the_maker)
