"""Two real processes train the same network sharded and replicated."""

import re
import shutil

import pytest

from ..conftest import ROOT
from .test_train_and_test import CONFIG, free_port, overrides


@pytest.mark.slow
def test_sharded_is_as_replicated_and_resumes(run, motion_shapes, tmp_path):
    def losses(name, work, epochs, *arguments):
        """Of the last epoch, each step's; weights before a norm take noise, so no weights."""
        config = tmp_path / f'{name}.py'
        bases = [str(ROOT / CONFIG), *([str(ROOT / 'configs/_base_/fsdp.py')] * (name == 'fsdp'))]
        config.write_text(f'_base_ = {bases}\n')
        command = ['-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-port']
        command += [free_port(), 'tools/train.py', str(config), '--launcher', 'pytorch']
        options = ['--work-dir', str(work), *arguments, *overrides(motion_shapes, epochs, batch=8)]
        done = run(*command, *options, 'randomness.seed=3', 'default_hooks.logger.interval=1')
        assert done.returncode == 0, done.stderr[-9000:]
        assert (work / f'epoch_{epochs}.pth').is_file()
        told = re.findall(rf'Epoch\(train\)\s+\[{epochs}\].* loss: ([\d.]+)', done.stdout)
        assert len(told) == 3
        return [float(loss) for loss in told]

    sharded = losses('fsdp', tmp_path / 'fsdp', 1)
    assert sharded == pytest.approx(losses('ddp', tmp_path / 'ddp', 1), rel=1e-3)
    unbroken = losses('fsdp', tmp_path / 'two', 2)
    shutil.copytree(tmp_path / 'fsdp', tmp_path / 'resumed')
    (tmp_path / 'resumed' / 'last_checkpoint').write_text(str(tmp_path / 'resumed/epoch_1.pth'))
    resumed = losses('fsdp', tmp_path / 'resumed', 2, '--resume')
    assert resumed == pytest.approx(unbroken, rel=1e-3)
