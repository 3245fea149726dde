"""Which clip a worker of a DataLoader was at when it died."""

import re
import traceback
from collections.abc import Iterator
from typing import Any


def clip_of_dead_worker(error: BaseException) -> str | None:
    """Path of the clip; None where the error is another one, or nothing is known.

    Asks the datasets of the loops and loaders that the error came through, and what they wrap, for
    ``clip_of_process(pid)``, as :class:`.CheckedDatasetMixin` has it.
    """
    died = re.search(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)', str(error))
    frames = reversed(list(traceback.walk_tb(error.__traceback__))) if died else ()
    for frame, _ in frames:
        for dataset in _asked(frame.f_locals.get('self')):
            for pid in map(int, died[1].split(',')):
                if clip := dataset.clip_of_process(pid):
                    return clip
    return None


def _asked(owner: Any) -> Iterator[Any]:
    if owner is None:
        return
    if hasattr(owner, 'clip_of_process'):
        yield owner
    for name in ('dataloader', '_dataset', 'dataset'):
        yield from _asked(getattr(owner, name, None))
    for inner in getattr(owner, 'datasets', ()):
        yield from _asked(inner)
