"""Ten optimizer steps of every recipe through the real runner: frames kept, 32 x 32 pixels."""

import re

import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .test_recipes import CONFIGS, ROWS
from .training import data_overrides

SIZE = 32
STEPS = 10


def small(cfg, loader):
    """Options that scale the views of a loader from 224 to SIZE pixels."""
    options = []
    for i, step in enumerate(cfg[loader].dataset.pipeline):
        where = f'{loader}.dataset.pipeline.{i}'
        if step['type'] == 'Resize':
            scale = tuple(SIZE if side == 224 else side for side in step['scale'])
            options.append(f'{where}.scale="{scale}"')
        elif 'crop_size' in step:
            options.append(f'{where}.crop_size={SIZE}')
    return options


@pytest.mark.slow
@pytest.mark.parametrize('name', ROWS)
def test_ten_steps(call, motion_shapes, frames, tmp_path, name):
    path = CONFIGS / f'{name}.py'
    cfg = Config.fromfile(path)
    counts = min(2, cfg.optim_wrapper.get('accumulative_counts', 1))
    options = data_overrides(cfg, motion_shapes, frames, tmp_path, STEPS * counts)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        options += small(cfg, loader)
    options += ['train_cfg.max_epochs=1', 'model.backbone.init_cfg=None']
    if counts > 1:
        options.append(f'optim_wrapper.accumulative_counts={counts}')
    work = tmp_path / 'work'
    done = call('tools/train.py', str(path), '--work-dir', str(work), '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-3000:]

    losses = re.findall(r'Epoch\(train\)\s+\[1\].* loss: ([\d.]+|nan|inf)', done.stdout)
    assert len(losses) == STEPS * counts
    assert all(0 < float(loss) < 20 for loss in losses), losses
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)
    groups = {g['name']: g['weight_decay'] for g in checkpoint['optimizer']['param_groups']}
    emim = {'rpb': 0.0} if name.startswith('emim') else {}
    assert groups == {'decay': 0.05, 'no_decay': 0.0, **emim}
    assert checkpoint['optimizer']['state'][0]['step'] == STEPS

    init_default_scope('mmaction')
    dumped = Config.fromfile(work / path.name)
    row = ROWS[name]
    views = DATASETS.build(dumped.test_dataloader.dataset)[0]['inputs']
    assert views.shape == (3 * row[-1], 3, row[1], SIZE, SIZE)
    assert views.dtype == torch.uint8
