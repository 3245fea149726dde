"""Two real processes train the same network sharded and replicated."""

import re
import shutil

import pytest
import torch

from ..conftest import ROOT
from ..ports import free_port
from .test_train_and_test import CONFIG, overrides


@pytest.mark.slow
def test_sharded_is_as_replicated_and_resumes(run, motion_shapes, tmp_path):
    def train(name, work, epochs, *arguments):
        """Returns the log of the last epoch's gradient norms and losses, and its checkpoint."""
        config = tmp_path / f'{name}.py'
        bases = [str(ROOT / CONFIG), *([str(ROOT / 'configs/_base_/fsdp.py')] * (name == 'fsdp'))]
        config.write_text(f'_base_ = {bases}\n')
        command = ['-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-port']
        command += [free_port(), 'tools/train.py', str(config), '--launcher', 'pytorch']
        options = ['--work-dir', str(work), *arguments, *overrides(motion_shapes, epochs, batch=8)]
        options += ['randomness.seed=3', 'optim_wrapper.clip_grad.max_norm=0.1']
        done = run(*command, *options, 'default_hooks.logger.interval=1')
        assert done.returncode == 0, done.stderr[-9000:]
        pattern = rf'Epoch\(train\)\s+\[{epochs}\].* grad_norm: ([\d.]+)  loss: ([\d.]+)'
        logged = [float(x) for step in re.findall(pattern, done.stdout) for x in step]
        assert len(logged) == 6
        return logged, torch.load(work / f'epoch_{epochs}.pth', weights_only=True)

    def averages(checkpoint):
        """Weight decay of each parameter group, and AdamW's means of the gradients."""
        state, groups = (checkpoint['optimizer'][key] for key in ('state', 'param_groups'))
        return [(g['weight_decay'], [state[p]['exp_avg'] for p in g['params']]) for g in groups]

    logged, sharded = train('fsdp', tmp_path / 'fsdp', 1)
    expected, replicated = train('ddp', tmp_path / 'ddp', 1)
    assert logged == pytest.approx(expected, rel=1e-3)
    torch.testing.assert_close(averages(sharded), averages(replicated), rtol=1e-2, atol=1e-5)

    _, unbroken = train('fsdp', tmp_path / 'two', 2)
    shutil.copytree(tmp_path / 'fsdp', tmp_path / 'resumed')
    (tmp_path / 'resumed' / 'last_checkpoint').write_text(str(tmp_path / 'resumed/epoch_1.pth'))
    _, resumed = train('fsdp', tmp_path / 'resumed', 2, '--resume')
    ours, theirs = ((c['state_dict'], averages(c)) for c in (resumed, unbroken))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    base_lr = [c['optimizer']['base_param_settings']['lr'] for c in (resumed, unbroken)]
    assert base_lr[0] == base_lr[1]


PROBE = """
model = dict(
    _delete_=True,
    type='Recognizer3D',
    backbone=dict(
        type='FrameEncoder',
        encoder=dict(type='mmaction.ResNet', depth=18, num_stages=1, strides=(1,),
                     dilations=(1,), out_indices=(0,), pretrained=None),
    ),
    neck=dict(type='EMIMNeck', in_channels=64, channels=16, head_dim=16, window=3),
    cls_head=dict(
        type='AttentiveHead', num_classes=12, in_channels=16, head_dim=16, average_clips='prob'
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[114] * 3, std=[57] * 3, format_shape='NCTHW'
    ),
)
"""


@pytest.mark.slow
def test_a_frozen_encoder_leaves_a_process_without_gradients(run, motion_shapes, tmp_path):
    def train(name, *bases):
        config = tmp_path / f'{name}.py'
        config.write_text(f'_base_ = {[str(ROOT / base) for base in (CONFIG, *bases)]}\n{PROBE}')
        command = ['-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-port']
        command += [free_port(), 'tools/train.py', str(config), '--launcher', 'pytorch']
        *options, _ = overrides(motion_shapes, batch=8)
        options += ['randomness.seed=3', 'default_hooks.logger.interval=1']
        options += ['env_cfg.dist_cfg.timeout=180']  # seconds: it waited for that process
        done = run(*command, '--work-dir', str(tmp_path / name), *options)
        assert done.returncode == 0, done.stderr[-9000:]
        logged = re.findall(r'Epoch\(train\).* grad_norm: ([\d.]+)  loss: ([\d.]+)', done.stdout)
        assert len(logged) == 3
        return logged, torch.load(tmp_path / name / 'epoch_1.pth', weights_only=True)['state_dict']

    logged, sharded = train('fsdp', 'configs/_base_/fsdp.py')
    expected, replicated = train('ddp')
    assert logged == expected
    torch.testing.assert_close(sharded, replicated, rtol=1e-5, atol=1e-6)
