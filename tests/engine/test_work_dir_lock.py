"""One training a folder, whatever becomes of the one that has it."""

import io
import os
import signal
import socket
from contextlib import contextmanager

import pytest

from mmaction_emim.engine import work_dir_lock
from mmaction_emim.engine.work_dir_lock import lock_work_dir, read_note


@contextmanager
def holder(work_dir):
    """A process that holds the folder, with a child as a worker is one; yields both."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        with lock_work_dir(work_dir, dict(note='of the holder')):
            child = os.fork()
            if child:
                os.write(write, str(child).encode())
            signal.pause()  # until it is killed
        os._exit(0)
    child = int(os.read(read, 20))
    try:
        yield pid, child
    finally:
        for each in (pid, child):
            os.kill(each, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read), os.close(write)


def test_another_training_is_refused_and_named(tmp_path):
    with holder(tmp_path) as (pid, _):
        with pytest.raises(ValueError) as error, lock_work_dir(tmp_path):
            pass
        sentence = f'{tmp_path}: process {pid} on {socket.gethostname()} (since '
        assert str(error.value).startswith(sentence)
        assert read_note(tmp_path)['note'] == 'of the holder'


def test_free_once_its_process_is_killed_whose_workers_live_on(tmp_path):
    with holder(tmp_path) as (pid, child):
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.kill(child, 0)
        with lock_work_dir(tmp_path):
            assert read_note(tmp_path)['pid'] == os.getpid()


def test_another_folder_is_another_training(tmp_path):
    with holder(tmp_path / 'one'), lock_work_dir(tmp_path / 'two'):
        pass


def test_a_note_is_there_though_its_writer_is_killed_between(tmp_path, monkeypatch):
    """A restart that finds none would take the job's own checkpoints for those of another."""

    class Killed(io.TextIOWrapper):
        def truncate(self, *_):
            os.kill(os.getpid(), signal.SIGKILL)

    with lock_work_dir(tmp_path, dict(note='of the one before', more='x' * 99)):
        pass
    pid = os.fork()
    if not pid:
        opened = lambda fd, *_, **__: Killed(io.BufferedRandom(io.FileIO(fd, 'r+')))  # noqa: E731
        monkeypatch.setattr(work_dir_lock, 'open', opened, raising=False)
        try:
            lock_work_dir(tmp_path, dict(note='of the killed one')).__enter__()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert read_note(tmp_path)['note'] == 'of the killed one'
    with lock_work_dir(tmp_path):
        assert 'note' not in read_note(tmp_path)


def test_notes_that_are_none(tmp_path):
    assert read_note(tmp_path) == {}
    (tmp_path / '.lock').write_text('{"pid"')
    assert read_note(tmp_path) == {}
