"""Motion modules in MMAction2's own configs, one folder a module."""

import inspect
import re

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.models import motion
from mmaction_emim.models.surgery.motion_backbone import FAMILIES

from .configs import COLLECTIONS, config, is_swap
from .conftest import ROOT
from .training import data_overrides

SWAPS = {
    folder.name: [path for path in sorted(folder.glob('*.py')) if is_swap(path)]
    for folder in COLLECTIONS
}
SWAPS = {name: paths for name, paths in SWAPS.items() if paths}  # others are of no MotionBackbone
CONFIGS = [path for paths in SWAPS.values() for path in paths]
TWO_STEPS = 2  # batches of one clip


def backbone(cfg):
    return cfg.model.backbone.backbone.type


def test_every_family_has_a_config():
    wanted = {cls.__name__ for family in FAMILIES for cls in family.BACKBONES} - {'MobileNetV2'}
    wanted |= {'ResNetTSM', 'TANet', 'MobileNetV2TSM', 'ResNet3dSlowOnly', 'ResNet3dCSN'}
    wanted |= {'ResNet2Plus1d'}
    assert all(MODELS.get(name) for name in wanted)
    assert {backbone(config(path)) for path in SWAPS['emim']} == wanted


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_only_the_swap_is_said(path):
    cfg = config(path)
    assert cfg.custom_imports['imports'] == ['mmaction_emim']
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper'):
        assert name in cfg
    if 'sthv' in path.stem:
        flips = [t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'Flip']
        assert all('flip_label_map' in t for t in flips)
    assert f'-{path.parent.name}_' in path.stem


@pytest.mark.parametrize('folder', SWAPS)
def test_a_folder_is_of_one_module(folder):
    (module,) = {config(path).model.backbone.motion.type for path in SWAPS[folder]}
    assert module in motion.__all__


def from_scratch(cfg):
    """Options that leave out all that would be downloaded."""
    inner, options = cfg.model.backbone.backbone, []
    if 'pretrained' in inner:
        options.append('model.backbone.backbone.pretrained=None')
    if 'init_cfg' in inner:
        options.append('model.backbone.backbone.init_cfg=[]')
    if 'pretrained2d' in inspect.signature(MODELS.get(backbone(cfg))).parameters:
        options.append('model.backbone.backbone.pretrained2d=False')
    if 'clip_pretrained' in inner:
        options.append('model.backbone.backbone.clip_pretrained=False')
    return options + (['load_from=None'] if cfg.get('load_from') else [])


@pytest.fixture
def train(call, motion_shapes, frames, tmp_path):
    """Call tools/train.py on a shipped config, with data paths and sizes overridden."""

    def train(path, *arguments, epochs=1, work='work', more=()):
        cfg = Config.fromfile(path)
        options = data_overrides(cfg, motion_shapes, frames, tmp_path, TWO_STEPS)
        options += [*from_scratch(cfg), f'train_cfg.max_epochs={epochs}', *more]
        work = tmp_path / work
        done = call(
            'tools/train.py',
            *(str(path), '--work-dir', str(work), *arguments, '--cfg-options', *options),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, work

    return train


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_two_training_steps(train, path):
    log, work = train(path)
    losses = re.findall(r'Epoch\(train\)\s+\[1\]\[[12]/2\].* loss: ([\d.]+|nan|inf)', log)
    assert len(losses) == 2 and all(0 < float(loss) < 50 for loss in losses), losses
    assert 'acc/top1' in log
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)
    assert all(x.isfinite().all() for x in checkpoint['state_dict'].values())
    optimized = sum(len(group['params']) for group in checkpoint['optimizer']['param_groups'])
    init_default_scope('mmaction')
    model = MODELS.build(Config.fromfile(work / path.name).model)  # as it was trained
    trained = sum(p.requires_grad for p in model.parameters())
    assert optimized >= trained


@pytest.mark.slow
def test_resume(train):
    (path,) = (ROOT / 'configs/m2a').glob('tsn-m2a*r18*')
    _, work = train(path)
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)
    (name, *_) = (name for name in checkpoint['state_dict'] if name.endswith('conv_down.weight'))
    checkpoint['state_dict'][name] += 5  # a mark that only loading can carry on
    torch.save(checkpoint, work / 'epoch_1.pth')
    with pytest.raises(AssertionError, match='train_cfg.max_epochs was 1 and is 2'):
        train(path, '--resume', epochs=2)
    keep = ['default_hooks.resume.on_change=keep']
    log, _ = train(path, '--resume', epochs=2, more=keep)
    resumed = torch.load(work / 'epoch_2.pth', weights_only=True)
    assert 'resumed epoch: 1, iter: 2' in log
    assert resumed['message_hub']['runtime_info']['iter'] == 3
    moved = resumed['state_dict'][name] - checkpoint['state_dict'][name]
    assert 0 < moved.abs().max() < 1
