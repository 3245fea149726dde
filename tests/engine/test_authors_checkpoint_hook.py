from uuid import uuid4

import pytest
import torch
from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner


def runner(root, tmp_path, classes):
    init_default_scope('mmaction')
    cfg = Config.fromfile(root / 'configs' / '_base_' / 'default_runtime.py')
    cfg.work_dir, cfg.log_level = str(tmp_path / 'work'), 'WARNING'
    # Its visualizer is kept by name, and with it the folder, which pytest has deleted.
    cfg.experiment_name = str(uuid4())
    cfg.model = dict(
        type='Recognizer3D',
        backbone=dict(type='EMIMUniFormer', depth=[1, 1, 2, 1], embed_dim=[8, 16, 64, 64]),
        cls_head=dict(type='I3DHead', num_classes=classes, in_channels=64),
    )
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize('classes', [174, 5])
@pytest.mark.parametrize('wrapped', [True, False], ids=['pyth', 'bare'])
def test_load_from_the_authors_file(root, tmp_path, authors_weights, wrapped, classes):
    theirs = authors_weights(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])
    torch.save(dict(model_state=theirs, epoch=1) if wrapped else theirs, tmp_path / 'x.pyth')
    run = runner(root, tmp_path, classes)
    head = run.model.cls_head.fc_cls.weight.clone()
    run.load_checkpoint(str(tmp_path / 'x.pyth'), strict=classes == 174)
    for name, x in run.model.backbone.state_dict().items():
        assert torch.equal(x, theirs[name]), name
    expected = theirs['head.weight'] if classes == 174 else head
    assert torch.equal(run.model.cls_head.fc_cls.weight, expected)


def test_its_former_name_serves_old_configs():
    init_default_scope('mmaction')
    assert HOOKS.get('ForeignCheckpointHook') is HOOKS.get('AuthorsCheckpointHook') is not None


def test_our_checkpoints_pass(root, tmp_path):
    run = runner(root, tmp_path, 5)
    checkpoint = dict(state_dict=run.model.state_dict(), meta=dict(epoch=3), optimizer={})
    before = dict(checkpoint)
    run.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    assert checkpoint == before
