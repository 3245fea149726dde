"""Upstream checkpoints in swapped networks."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import load_checkpoint

from mmaction_emim.models.weights.load_report import ConvertOnLoad

from ..conftest import EMIM, TRANSFORMERS, ZOO


def converter(model):
    hooks = model._load_state_dict_pre_hooks.values()
    return next(h.hook for h in hooks if isinstance(h.hook, ConvertOnLoad))


def qkv_and_proj(attention):
    """q, k, v and the output projection of any upstream attention, weight and bias."""
    p = dict(attention.named_parameters())
    if 'in_proj_weight' in p:
        return p['in_proj_weight'], p['in_proj_bias'], p['out_proj.weight'], p['out_proj.bias']
    bias = p.get('qkv.bias')
    if 'q_bias' in p:
        bias = torch.cat([p['q_bias'], torch.zeros_like(p['q_bias']), p['v_bias']])
    return p['qkv.weight'], bias, p['proj.weight'], p['proj.bias']


@pytest.mark.parametrize('family', TRANSFORMERS)
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_a_checkpoint_of_the_original(tmp_path, plain, swapped, family, prefix):
    """Every key of it is accounted for, and q, k, v and proj are the original's."""
    original, ours = plain(family), swapped(family, EMIM, 'replace')
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.normal_()
    checkpoint = {prefix + name: value for name, value in original.state_dict().items()}
    report = converter(ours).convert(ours, dict(checkpoint), prefix)
    torch.save({'state_dict': checkpoint}, tmp_path / 'original.pth')
    model = torch.nn.ModuleDict({'backbone': ours}) if prefix else ours
    load_checkpoint(model, str(tmp_path / 'original.pth'), map_location='cpu')

    replaced = converter(ours).replaced
    assert replaced
    for name in replaced:
        attention = ours.get_submodule(name)
        ours_p = dict(attention.named_parameters())
        got = [
            ours_p[f'{layer}.{kind}'] for layer in ('qkv', 'proj') for kind in ('weight', 'bias')
        ]
        for mine, theirs in zip(got, qkv_and_proj(original.get_submodule(name)), strict=True):
            assert torch.equal(mine, theirs)
        assert {f'{name}.rpb', f'{name}.motion_conv.0.weight'} <= set(report.new)
    for name, value in original.state_dict().items():
        if name in report.used:
            assert torch.equal(ours.state_dict()[name], value), name

    sources = [part for line in report.converted for part in line.split(' -> ')[0].split(' + ')]
    listed = len(report.used) + len(report.unused) + len(report.mismatched) + len(sources)
    assert listed == len(checkpoint)
    assert not report.mismatched
    assert all(any(key.startswith(name) for name in replaced) for key in report.unused + report.new)


@pytest.mark.parametrize('family', TRANSFORMERS)
def test_replacing_keeps_the_weights_it_finds(swapped, family):
    """Also without a checkpoint: qkv and proj are those of the attention that was there."""
    ours = swapped(family, EMIM, 'replace')
    torch.manual_seed(1)  # as swapped() does before it builds
    original = MODELS.build(dict(type=family, **ZOO[family][0]))
    for name in converter(ours).replaced:
        got, want = ours.get_submodule(name), qkv_and_proj(original.get_submodule(name))
        assert torch.equal(got.qkv.weight, want[0]) and torch.equal(got.proj.weight, want[2])


def test_split_q_k_v(swapped):
    model = swapped('UniFormer', EMIM, 'replace')
    split = {}
    for name, value in model.state_dict().items():
        if name.startswith('blocks3.0.attn.qkv'):
            for part, piece in zip('qkv', value.chunk(3), strict=True):
                split[name.replace('qkv', part)] = piece + 1
        else:
            split[name] = value
    want = model.blocks3[0].attn.qkv.weight.detach() + 1
    model.load_state_dict(split)
    assert torch.equal(model.blocks3[0].attn.qkv.weight, want)


def test_another_shape_is_listed_and_our_own_checkpoint_is_one_line(swapped):
    model = swapped('UniFormer', EMIM, 'replace')
    own = model.state_dict()
    assert 'all' in str(converter(model).convert(model, dict(own)))
    own['norm.weight'] = torch.zeros(3)
    own['head.weight'] = torch.zeros(3)
    report = converter(model).convert(model, dict(own))
    assert report.mismatched == ['norm.weight: (3,) in the checkpoint, (32,) here']
    assert report.unused == ['head.weight']
    assert 'mismatched (1)' in str(report) and 'norm.weight: (3,)' in str(report)


def test_the_report_is_logged(log, plain, swapped):
    ours = swapped('TimeSformer', EMIM, 'replace')
    ours.load_state_dict(plain('TimeSformer').state_dict(), strict=False)
    out = log[-1]
    name = 'transformer_layers.layers.0.attentions.0.attn'
    assert f'{name}.in_proj_weight -> {name}.qkv.weight' in out
    assert 'new (' in out and f'{name}.rpb' in out
