"""configs/emim, m2a, ata: motion modules in MMAction2's own configs."""

import inspect
import re

import cv2
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmaction_emim.models.surgery.motion_backbone import FAMILIES

from .conftest import ROOT

CONFIGS = sorted(
    path
    for folder in ('emim', 'm2a', 'ata')
    for path in (ROOT / 'configs' / folder).glob('*.py')
    if 'MotionBackbone' in path.read_text()
)
TWO_STEPS = 2  # batches of one clip


def backbone(cfg):
    return cfg.model.backbone.backbone.type


def test_every_family_has_a_config():
    wanted = {cls.__name__ for family in FAMILIES for cls in family.BACKBONES} - {'MobileNetV2'}
    wanted |= {'ResNetTSM', 'TANet', 'MobileNetV2TSM', 'ResNet3dSlowOnly', 'ResNet3dCSN'}
    wanted |= {'ResNet2Plus1d'}
    assert all(MODELS.get(name) for name in wanted)
    emim = {backbone(Config.fromfile(path)) for path in CONFIGS if path.parent.name == 'emim'}
    assert emim == wanted


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_only_the_swap_is_said(path):
    cfg = Config.fromfile(path)
    assert cfg.custom_imports['imports'] == ['mmaction_emim']
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper'):
        assert name in cfg
    if 'sthv' in path.stem:
        flips = [t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'Flip']
        assert all('flip_label_map' in t for t in flips)
    module = path.parent.name
    assert f'-{module}_' in path.stem
    assert (
        cfg.model.backbone.motion.type
        == {
            'emim': 'EMIMAttention',
            'm2a': 'MotionAwareAttention',
            'ata': 'AlignmentGuidedTemporalAttention',
        }[module]
    )


@pytest.fixture(scope='module')
def frames(motion_shapes):
    """The first clips of MotionShapes as folders of JPEG frames, and a list of them."""
    lines = (motion_shapes / 'train.txt').read_text().splitlines()[:TWO_STEPS]
    told = []
    for i, line in enumerate(lines):
        path, label = line.split()
        folder = motion_shapes / 'rawframes' / str(i)
        folder.mkdir(parents=True, exist_ok=True)
        video = cv2.VideoCapture(str(motion_shapes / path))
        count = 0
        while (read := video.read())[0]:
            count += 1
            cv2.imwrite(str(folder / f'{count:05}.jpg'), read[1])
        assert count > 8
        told.append(f'{i} {count} {label}\n')
    (motion_shapes / 'frames.txt').write_text(''.join(told))
    return motion_shapes / 'frames.txt'


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_two_training_steps(run, motion_shapes, frames, tmp_path, path):
    """From the shipped config through tools/train.py, with data paths and sizes overridden."""
    cfg = Config.fromfile(path)
    raw = 'Rawframe' in cfg.train_dataloader.dataset.type
    lines = (motion_shapes / 'train.txt').read_text().splitlines(keepends=True)[:TWO_STEPS]
    (tmp_path / 'train.txt').write_text(frames.read_text() if raw else ''.join(lines))
    (tmp_path / 'val.txt').write_text((tmp_path / 'train.txt').read_text().splitlines()[0] + '\n')
    kind, prefix = ('img', motion_shapes / 'rawframes') if raw else ('video', motion_shapes)
    options = ['train_cfg.max_epochs=1', 'default_hooks.logger.interval=1', 'randomness.seed=0']
    for split, list_name in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.ann_file={tmp_path / list_name}.txt',
            f'{loader}.dataset.data_prefix.{kind}={prefix}',
            f'{loader}.batch_size=1',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
        if cfg[loader].dataset.get('data_root'):
            options.append(f'{loader}.dataset.data_root={motion_shapes}')
    # Nothing may be downloaded here: from scratch.
    if 'pretrained' in cfg.model.backbone.backbone:
        options.append('model.backbone.backbone.pretrained=None')
    if 'pretrained2d' in inspect.signature(MODELS.get(backbone(cfg))).parameters:
        options.append('model.backbone.backbone.pretrained2d=False')
    if 'init_cfg' in cfg.model.backbone.backbone:
        options.append('model.backbone.backbone.init_cfg=[]')
    if 'clip_pretrained' in cfg.model.backbone.backbone:
        options.append('model.backbone.backbone.clip_pretrained=False')
    options += ['load_from=None'] if cfg.get('load_from') else []
    work = tmp_path / 'work'
    done = run('tools/train.py', str(path), '--work-dir', str(work), '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    losses = re.findall(r'Epoch\(train\)\s+\[1\]\[[12]/2\].* loss: ([\d.]+|nan|inf)', done.stdout)
    assert len(losses) == 2 and all(0 < float(loss) < 50 for loss in losses), losses
    assert 'acc/top1' in done.stdout
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    assert all(x.isfinite().all() for x in checkpoint.values())
