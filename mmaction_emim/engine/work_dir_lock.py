"""One training a work folder."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log

NAME = '.lock'


@contextmanager
def lock_work_dir(work_dir: Path, note: dict | None = None) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however that ends.

    A record lock of POSIX: workers that outlive their killed process do not hold it, and other
    machines of a shared file system see it.

    Args:
        work_dir: Is made where it is not there.
        note: Kept in the file ``.lock``, as JSON, beside process and host.

    Raises:
        ValueError: Another process holds it; named are that process and its host.
        OSError: The folder cannot be written to.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / NAME
    with open(os.open(str(path), os.O_RDWR | os.O_CREAT, 0o666), 'r+', encoding='utf-8') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(
                    f'{work_dir}: {_holder(path)} is training here; end it, or give another '
                    '--work-dir'
                ) from None
            print_log(f'{path}: no locks here ({error.strerror}): see that one training only '
                      'writes to this folder', logger='current', level='WARNING')  # fmt: skip
        holder = dict(pid=os.getpid(), host=socket.gethostname(), since=time.strftime('%F %T'))
        # Over the note before, of which the rest goes then: whenever this is killed, one is there.
        file.write(json.dumps({**holder, **(note or {})}))
        file.flush()
        file.truncate()
        yield


def read_note(work_dir: Path) -> dict:
    """What the last training noted in the folder's lock; empty where nothing is."""
    try:
        text = (work_dir / NAME).read_text(encoding='utf-8')
        note, _ = json.JSONDecoder().raw_decode(text)  # the rest is of a longer one before
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _holder(path: Path) -> str:
    note = read_note(path.parent)
    if 'pid' not in note:
        return 'another process'
    return f'process {note["pid"]} on {note.get("host")} (since {note.get("since")})'
