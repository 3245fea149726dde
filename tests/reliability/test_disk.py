"""Disks that are full or read-only, and data that vanishes: an end that says so, and a resume."""

import errno
import os
import resource
import shutil
import subprocess
from functools import partial

import pytest

from mmaction_emim.utils.checkpoint_damage import damage

from .jobs import VARIANTS, differences

pytestmark = pytest.mark.slow

ONE = VARIANTS[0]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', str(folder)]
    if not shutil.which('mount') or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('file systems cannot be mounted here')
    yield folder
    subprocess.run(['umount', '--lazy', str(folder)], check=True)


def ends_and_goes_on(drills, job, sentence, mend, **more):
    """The training ends and says why; nothing is damaged; resumed it is as never stopped."""
    whole, _ = drills.uninterrupted(ONE)
    assert job.wait() == [1], job.log.read_text()[-3000:]
    last = job.log.read_text().splitlines()[-1]
    assert last.startswith('error: ') and sentence in last, last
    checkpoints = [*job.work.glob('*.pth')]
    assert checkpoints and not any(map(damage, checkpoints))
    mend()
    assert drills.start(ONE, job.work, '--resume', **more).wait() == [0]
    assert not list(job.work.glob('*.part'))
    assert differences(job.work, whole) == []


def test_a_file_that_does_not_fit(drills, start_and_wait, gate, tmp_path):
    job = start_and_wait(tmp_path / 'work')
    (pid,) = job.status
    size = (job.work / 'epoch_1.pth').stat().st_size // 2
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
    gate.open()
    ends_and_goes_on(drills, job, os.strerror(errno.EFBIG), lambda: None)


def test_a_full_disk(drills, start_and_wait, gate, small_disk):
    job = start_and_wait(small_disk / 'work')
    rest = small_disk / 'rest'
    with pytest.raises(OSError, match='No space'), open(rest, 'wb', buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    gate.open()
    ends_and_goes_on(drills, job, 'No space left on device', rest.unlink)


def test_a_folder_that_is_read_only(drills, small_disk):
    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    for work in (small_disk, small_disk / 'work'):
        job = drills.start(ONE, work)
        assert job.wait() == [1]
        last = job.log.read_text().splitlines()[-1]
        assert last.startswith(f"error: [Errno 30] Read-only file system: '{small_disk}"), last


def test_a_folder_that_becomes_read_only(drills, start_and_wait, gate, small_disk):
    """As after an error of the disk: what is open stays so, no file can be opened to write."""
    work = small_disk / 'work'
    job = start_and_wait(work)
    subprocess.run(['mount', '--bind', str(work), str(work)], check=True)
    subprocess.run(['mount', '-o', 'remount,bind,ro', str(work)], check=True)
    gate.open()
    writable = partial(subprocess.run, ['umount', str(work)], check=True)
    ends_and_goes_on(drills, job, f"[Errno 30] Read-only file system: '{work}/", writable)


def test_data_that_vanishes_and_comes_back(drills, start_and_wait, gate, tmp_path):
    data = tmp_path / 'data'
    shutil.copytree(drills.data, data)
    job = start_and_wait(tmp_path / 'work', data=data)
    data.rename(tmp_path / 'away')
    gate.open()
    back = (tmp_path / 'away').rename
    sentence = f'the folder {data} is gone or empty'
    ends_and_goes_on(drills, job, sentence, lambda: back(data), data=data)
