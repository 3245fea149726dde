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


def test_a_file_that_does_not_fit(drills, tmp_path):
    job = drills.start(ONE, tmp_path / 'work')
    first = tmp_path / 'work' / 'epoch_1.pth'
    assert job.reached(first.is_file)
    (pid,) = job.status
    size = first.stat().st_size // 2
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
    ends_and_goes_on(drills, job, os.strerror(errno.EFBIG), lambda: None)


def test_a_full_disk(drills, small_disk):
    job = drills.start(ONE, small_disk / 'work')
    assert job.reached((job.work / 'epoch_1.pth').is_file)
    rest = small_disk / 'rest'
    with pytest.raises(OSError, match='No space'), open(rest, 'wb', buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    ends_and_goes_on(drills, job, 'No space left on device', rest.unlink)


def test_a_folder_that_is_read_only(drills, small_disk):
    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    for work in (small_disk, small_disk / 'work'):
        job = drills.start(ONE, work)
        assert job.wait() == [1]
        last = job.log.read_text().splitlines()[-1]
        assert last.startswith(f"error: [Errno 30] Read-only file system: '{small_disk}"), last


def test_a_folder_that_becomes_read_only(drills, small_disk):
    """As after an error of the disk: what is open stays so, no file can be opened to write.

    What was being written stays beside its place, for nothing can be removed either.
    """
    work = small_disk / 'work'
    job = drills.start(ONE, work)
    assert job.reached((work / 'epoch_1.pth').is_file)
    subprocess.run(['mount', '--bind', str(work), str(work)], check=True)
    read_only = ['mount', '-o', 'remount,bind,ro', str(work)]
    while subprocess.run(read_only, capture_output=True).returncode:  # busy in a write
        assert job.running()
    writable = partial(subprocess.run, ['umount', str(work)], check=True)
    ends_and_goes_on(drills, job, f"[Errno 30] Read-only file system: '{work}/", writable)


def test_data_that_vanishes_and_comes_back(drills, tmp_path):
    data = tmp_path / 'data'
    shutil.copytree(drills.data, data)
    job = drills.start(ONE, tmp_path / 'work', data=data)
    assert job.reached((job.work / 'epoch_1.pth').is_file)
    data.rename(tmp_path / 'away')
    back = (tmp_path / 'away').rename
    sentence = f'the folder {data} is gone or empty'
    ends_and_goes_on(drills, job, sentence, lambda: back(data), data=data)
