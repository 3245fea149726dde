import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

from mmaction_emim.engine import param_groups
from mmaction_emim.engine.param_groups import group_table

from ..configs import FOLDER


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmaction')
    return MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='EMIMUniFormer', arch='tiny', depth=[1, 1, 2, 1], window=3),
            cls_head=dict(type='I3DHead', num_classes=5, in_channels=64),
        )
    )


def settings(model, **paramwise):
    """{parameter name: (lr, weight decay)} of an AdamW of lr 1 and weight decay 0.05."""
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='LayerDecayOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            paramwise_cfg=paramwise,
        ),
    )
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    return {names[p]: (g['lr'], g['weight_decay']) for g in groups for p in g['params']}


def test_every_parameter_once_and_who_decays(model):
    got = settings(model)
    assert got.keys() == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        none = parameter.ndim == 1 or name.endswith('rpb')
        assert got[name] == (1.0, 0.0 if none else 0.05), name


def test_bias_decay_can_be_switched_on(model):
    assert settings(model, rpb_decay_mult=1.0)['backbone.blocks3.0.attn.rpb'] == (1.0, 0.05)


def test_layer_decay_follows_the_network(model):
    got = settings(model, layer_decay_rate=0.5)
    # layers: stem, four stages of 1 + 1 + 2 + 1 blocks, the rest
    for name, power in {
        'backbone.patch_embed1.proj.weight': 6,
        'backbone.blocks1.0.conv1.weight': 5,
        'backbone.patch_embed2.proj.weight': 4,
        'backbone.blocks2.0.conv1.weight': 4,
        'backbone.patch_embed3.norm.weight': 3,
        'backbone.blocks3.0.attn.rpb': 3,
        'backbone.blocks3.1.attn.qkv.weight': 2,
        'backbone.blocks4.0.mlp.fc1.bias': 1,
        'backbone.norm.weight': 0,
        'cls_head.fc_cls.weight': 0,
    }.items():
        assert got[name][0] == 0.5**power, name


def test_layer_decay_of_a_network_without_the_last_stage():
    tiny = MODELS.build(dict(type='EMIMUniFormer', arch='tiny'))
    got = settings(tiny, layer_decay_rate=0.5)
    assert got['patch_embed4.proj.weight'][0] == got['norm.weight'][0] == 1.0
    assert got['patch_embed3.proj.weight'][0] < 1.0


def test_frozen_parameters_are_left_out(model):
    weight = model.backbone.patch_embed1.proj.weight
    weight.requires_grad = False
    try:
        assert 'backbone.patch_embed1.proj.weight' not in settings(model)
    finally:
        weight.requires_grad = True


def test_table():
    weight = torch.zeros(3, 4)
    group = dict(name='decay', lr=2e-4, weight_decay=0.05, params=[weight])
    group['param_names'] = ['a.weight']
    assert [line.split() for line in group_table([group]).splitlines()] == [
        ['group', 'lr', 'weight', 'decay', 'tensors', 'parameters', 'such', 'as'],
        ['decay', '0.0002', '0.05', '1', '12', 'a.weight'],
    ]


@pytest.mark.parametrize(
    'paramwise, message',
    [
        (dict(norm_decay_mult=0.0), 'norm_decay_mult'),
        (dict(layer_decay_rate=1.5), r'\(0, 1\], got 1.5'),
        (dict(custom_keys=['head']), r"must be like .*, got \['head'\]"),
        (dict(custom_keys=dict(head=dict(lr_mul=1))), 'lr_mult=0.1, decay_mult=1'),
        (dict(custom_keys=dict(neck={})), "no parameter has 'neck' in its name"),
        (dict(rpb_decay_mult='no'), "rpb_decay_mult must be a number >= 0, got 'no'"),
    ],
    ids=str,
)
def test_refuses_other_options(model, paramwise, message):
    with pytest.raises(ValueError, match=message):
        settings(model, **paramwise)


def test_layer_decay_refuses_a_network_without_blocks():
    with pytest.raises(ValueError, match='Linear has none'):
        settings(torch.nn.Linear(2, 2), layer_decay_rate=0.9)


def test_custom_keys_multiply_and_the_longest_counts(model):
    keys = {'backbone': dict(lr_mult=0.1), 'backbone.blocks3': dict(lr_mult=0.5, decay_mult=0)}
    got = settings(copy.deepcopy(model), custom_keys=keys, layer_decay_rate=0.5)
    assert got['cls_head.fc_cls.weight'] == (1.0, 0.05)
    assert got['backbone.norm.weight'] == (0.1, 0.0)
    assert got['backbone.blocks4.0.attn.qkv.weight'] == (0.5 * 0.1, 0.05)
    assert got['backbone.blocks3.1.attn.qkv.weight'] == (0.25 * 0.5, 0.0)


def test_a_rate_of_zero_freezes(model, monkeypatch):
    model = copy.deepcopy(model)
    keys = {'backbone.blocks1': dict(lr_mult=0), 'backbone.patch_embed1': dict(lr_mult=0)}
    said = []
    monkeypatch.setattr(param_groups, 'print_log', lambda text, **_: said.append(text))
    got = settings(model, custom_keys=keys)
    names = [n for n, _ in model.named_parameters() if 'blocks1' in n or 'patch_embed1' in n]
    assert got.keys().isdisjoint(names) and len(got) + len(names) == len(list(model.parameters()))
    model.train()
    before = copy.deepcopy(model.state_dict())
    model.backbone(torch.rand(1, 3, 4, 32, 32)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name not in names)
    norm = model.backbone.blocks1[0].norm1
    assert not norm.training and torch.equal(
        norm.running_mean, before['backbone.blocks1.0.norm1.running_mean']
    )
    assert model.backbone.blocks2[0].norm1.training
    row = next(line.split() for line in said[0].splitlines() if line.startswith('frozen'))
    assert row[1:4] == ['0', '0', str(len(names))]


def test_freezing_what_ddp_waits_for_is_refused(model):
    model = copy.deepcopy(model)
    model.find_unused_parameters = False  # as DistributedDataParallel has it
    with pytest.raises(ValueError, match='set find_unused_parameters=True'):
        settings(model, custom_keys={'cls_head': dict(lr_mult=0)})


def test_every_layers_rate_comes_down(model):
    """With a lowest rate for all, the first layers' rose from below it."""
    cfg = Config.fromfile(FOLDER / '_base_/schedules/adamw.py')
    wrapper = build_optim_wrapper(
        copy.deepcopy(model),
        {**cfg.optim_wrapper, 'paramwise_cfg': dict(layer_decay_rate=0.3)},
    )
    for group in wrapper.optimizer.param_groups:
        group['initial_lr'] = group['lr']
    before = [group['lr'] for group in wrapper.optimizer.param_groups]
    cosine = {**cfg.param_scheduler[1], 'begin': 0, 'T_max': 10, 'end': 10}
    cosine.pop('convert_to_iter_based')
    scheduler = PARAM_SCHEDULERS.build({**cosine, 'optimizer': wrapper})
    for _ in range(10):
        wrapper.optimizer.step()
        scheduler.step()
    after = [group['lr'] for group in wrapper.optimizer.param_groups]
    assert all(late < 0.05 * early for early, late in zip(before, after, strict=True))
