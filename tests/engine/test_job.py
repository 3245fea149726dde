"""What is resumed, by a job that is started and by one that was restarted."""

import os

import pytest
import torch
from mmengine.config import Config

from mmaction_emim.engine.job import training_job


@pytest.fixture(autouse=True)
def no_restart(monkeypatch):
    for name in ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT', 'SLURM_JOB_ID'):
        monkeypatch.delenv(name, raising=False)


def begin(work_dir, resume=False, load_from=None):
    """(``resume``, ``load_from``, what is told) of a training."""
    cfg = Config(dict(work_dir=str(work_dir), resume=resume, load_from=load_from, launcher='none'))
    with training_job(cfg) as told:
        return cfg.resume, cfg.load_from, told


def save(work_dir, epoch):
    path = work_dir / f'epoch_{epoch}.pth'
    torch.save(dict(epoch=epoch), path)
    (work_dir / 'last_checkpoint').write_text(str(path))
    return str(path)


def test_a_start_is_as_its_config_says(tmp_path):
    assert begin(tmp_path) == (False, None, [])
    first = save(tmp_path, 1)
    assert begin(tmp_path) == (False, None, [])
    assert begin(tmp_path, load_from=first) == (False, first, [])
    assert begin(tmp_path, resume=True) == (True, first, [])
    assert begin(tmp_path, resume=True, load_from=first) == (True, first, [])


@pytest.mark.parametrize('name', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_a_restart_resumes_what_the_job_saved(tmp_path, monkeypatch, name):
    weights = str(tmp_path / 'pretrained.pth')
    torch.save({}, weights)
    for epoch in (7, 8):  # of a training before
        save(tmp_path, epoch)
    begin(tmp_path, load_from=weights)
    monkeypatch.setenv(name, '1')
    resume, load_from, told = begin(tmp_path, load_from=weights)
    assert (resume, load_from) == (False, weights) and not told  # as it was started
    first = save(tmp_path, 1)
    for _ in range(2):
        resume, load_from, told = begin(tmp_path, load_from=weights)
        assert (resume, load_from) == (True, first)
        assert told == ['the job was restarted', f'resuming from {first}']
    (tmp_path / 'last_checkpoint').unlink()
    assert begin(tmp_path)[1] == first
    os.unlink(first)
    assert begin(tmp_path)[:2] == (False, None)


def test_a_restart_of_what_was_resumed(tmp_path, monkeypatch):
    last = save(tmp_path, 3)
    begin(tmp_path, resume=True)
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '2')
    assert begin(tmp_path, resume=True)[:2] == (True, last)


def test_the_first_start_ended_before_it_noted_anything(tmp_path, monkeypatch):
    monkeypatch.setenv('SLURM_JOB_ID', '11')  # a job before
    begin(tmp_path)
    last = save(tmp_path, 3)
    monkeypatch.setenv('SLURM_JOB_ID', '12')
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    assert begin(tmp_path)[:2] == (False, None)
    assert begin(tmp_path, resume=True)[:2] == (True, last)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=f'{tmp_path}/file'):
        begin(tmp_path / 'file' / 'work')
