import re
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from .conftest import Net

HOOK = dict(type='AuthorsCheckpointHook')


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
    hook = next(hook for hook in run.hooks if type(hook).__name__ == 'AuthorsCheckpointHook')
    assert hook.counted.report.heads == ([] if classes == 174 else ['174 -> 5 classes'])


def test_its_former_name_serves_old_configs():
    init_default_scope('mmaction')
    assert HOOKS.get('ForeignCheckpointHook') is HOOKS.get('AuthorsCheckpointHook') is not None


def test_our_checkpoints_pass(root, tmp_path):
    run = runner(root, tmp_path, 5)
    checkpoint = dict(state_dict=run.model.state_dict(), meta=dict(epoch=3), optimizer={})
    before = dict(checkpoint)
    run.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    assert checkpoint == before


def said(runner):
    lines = next(Path(runner.log_dir).glob('*.log')).read_text().splitlines()
    return [line.split(' - ')[-1] for line in lines if 'load_from: ' in line]


def loaded(runner, kind):
    """The weights that the log file lists under a kind; of converted ones the new names."""
    text = next(Path(runner.log_dir).glob('*.log')).read_text()
    found = re.search(rf'{kind} \((\d+)\): loaded .*\n((?:    .*\n)*)', text)
    names = {line.split()[-1] for line in found[2].splitlines()} if found else set()
    assert not found or len(names) == int(found[1])
    return names


@pytest.fixture
def start_from(train, tmp_path):
    """Trains no step from a checkpoint, with the hook."""

    def start_from(checkpoint, **more):
        torch.save(checkpoint, tmp_path / 'x.pth')
        more |= dict(load_from=str(tmp_path / 'x.pth'), custom_hooks=[HOOK])
        return train(train_cfg=dict(by_epoch=True, max_epochs=0), **more)

    return start_from


ALL = 'load_from: 4 of the 4 weights of the network are from the checkpoint'


@pytest.mark.parametrize(
    'wrap',
    [
        lambda w: dict(model=w),
        lambda w: {'state_dict': {f'model.{k}': x for k, x in w.items()}, 'epoch': 3},
        lambda w: {
            f'module.net.{k.replace("linear", "_orig_mod.linear")}': x for k, x in w.items()
        },
        lambda w: {
            'model': {'recognizer.' + k: x for k, x in w.items()} | {'other.x': w['head.bias']}
        },
        lambda w: dict(state_dict=w, meta={}),
    ],
    ids=['wrapped', 'prefix', 'prefixes, compiled', 'one prefix of two', 'ours'],
)
def test_takes_what_is_wrapped(start_from, wrap):
    weights = {k: x + 1 for k, x in Net().state_dict().items()}
    runner = start_from(wrap(weights))
    for name, x in runner.model.state_dict().items():
        assert torch.equal(x, weights[name]), name
    assert said(runner)[0] == ALL
    assert loaded(runner, 'used') | loaded(runner, 'converted') == set(weights)


def test_takes_a_backbone_alone_and_says_how_much_it_is(start_from):
    weights = {k: x + 1 for k, x in Net().backbone.state_dict().items()}
    runner = start_from(weights)
    assert torch.equal(runner.model.backbone.linear.bias, weights['linear.bias'])
    runner.call_hook('after_test')
    share = f'{ALL.replace("4 of", "2 of")}; the others are as initialized'
    what = 'load_from: what became of the checkpoint'
    assert said(runner) == [share, what, f'tested after {share}']
    text = next(Path(runner.log_dir).glob('*.log')).read_text()
    new = 'new (2): in the network, not in the checkpoint: as initialized'
    assert f'{new}\n    head.bias\n    head.weight\n' in text
    assert 'converted (2): loaded under another name\n    backbone.linear.weight' in text


def test_a_head_of_other_classes_and_foreign_weights_are_said(start_from):
    weights = {**Net().state_dict(), 'head.weight': torch.ones(3, 8), 'other': torch.ones(1)}
    runner = start_from(dict(state_dict=weights, meta={}))
    assert said(runner)[1] == 'load_from: head: 3 -> 1 classes, starts anew'
    text = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'head.weight: (3, 8) in the checkpoint, (1, 8) here' in text
    assert 'unused (1): in the checkpoint, not in the network\n    other\n' in text


@pytest.mark.parametrize(
    'checkpoint, message',
    [
        (
            {'state_dict': {'conv1.weight': torch.ones(1)}},
            'checkpoint: not one .* it has conv1.weight, the network backbone.linear.weight, .* …',
        ),
        ({'model': {'head.weight': torch.ones(2)}}, '0 of the 4 weights .* no shape does'),
    ],
    ids=['names', 'shapes'],
)
def test_refuses_what_would_be_a_random_network(start_from, checkpoint, message):
    with pytest.raises(ValueError, match=message):
        start_from(checkpoint)


def test_says_it_once_and_of_a_resumed_run_too(train):
    train(custom_hooks=[HOOK])
    runner = train(epochs=2, custom_hooks=[HOOK], resume=True)
    runner.call_hook('before_val')
    assert said(runner) == [ALL]


def test_the_screen_has_the_share_and_the_file_each_weight(start_from, capfd):
    weights = Net().state_dict()
    runner = start_from(dict(state_dict=weights, meta={}))
    screen = ''.join(capfd.readouterr())
    assert ALL in screen and 'head.bias' not in screen
    assert loaded(runner, 'used') == set(weights) and not loaded(runner, 'converted')
