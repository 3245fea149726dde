"""Which clip a worker of a DataLoader was at when it died."""

import re
import signal
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

SECONDS = 10  # in which a worker whose connections are closed has ended


def explain_dead_worker(error: BaseException, sentence: str) -> str:
    """``sentence``, about the worker and with its clip where ``error`` came of a worker's death.

    Asks the datasets of the loops and loaders that the error came through, and what they wrap, for
    ``clip_of_process(pid)``, as :class:`.CheckedDatasetMixin` has it.
    """
    owners = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
    if said := re.search(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)', str(error)):
        pids = [int(pid) for pid in said[1].split(',')]
        sentence = sentence.rstrip('. ')
    elif isinstance(error, ConnectionError | EOFError) and (pids := _ended(owners)):
        # Its batches were on their way: they are fetched from itself, before torch sees its end.
        sentence = f'DataLoader worker (pid {", ".join(map(str, pids))}) exited unexpectedly'
    else:
        return sentence
    for dataset in (dataset for owner in reversed(owners) for dataset in _asked(owner)):
        for pid in pids:
            if clip := dataset.clip_of_process(pid):
                return f'{sentence}; it was at the clip {clip}'
    return sentence


def ignore_dead_workers() -> None:
    """Let no worker that is seen to have ended interrupt what this process still does.

    Wherever it is then, torch's handler of SIGCHLD raises an error.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _ended(owners: list) -> list[int]:
    """Workers, of the DataLoader that is among ``owners``, that have ended or just do."""
    for owner in owners:
        if workers := getattr(owner, '_workers', None):  # torch's private name
            ended = wait([worker.sentinel for worker in workers], SECONDS)
            return [worker.pid for worker in workers if worker.sentinel in ended]
    return []


def _asked(owner: Any) -> Iterator[Any]:
    if owner is None:
        return
    if hasattr(owner, 'clip_of_process'):
        yield owner
    for name in ('dataloader', '_dataset', 'dataset'):
        yield from _asked(getattr(owner, name, None))
    for inner in getattr(owner, 'datasets', ()):
        yield from _asked(inner)
