"""Motion modules in networks of timm and transformers."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from mmaction_emim.models import motion
from mmaction_emim.models.plain import insert_motion, replace_attention

from .families import FAMILIES, GRID, build, need

EMIM = dict(type='EMIMAttention', window=3)
every_family = pytest.mark.parametrize('name', FAMILIES)


def put(mode, model, name, module=EMIM, **options):
    family, i = FAMILIES[name], int(mode == 'replace')
    do = replace_attention if i else insert_motion
    layers, order, prefix = family.layers[i], family.order[i], family.prefix[i]
    return do(model, module, layers, GRID, order=order, prefix=prefix, **options)


def a_step(model, tokens):
    """Plain SGD on the tokens' squares."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = tokens(model).square().mean()
    loss.backward()
    optimizer.step()
    model.eval()
    return loss


@every_family
def test_inserted_nothing_changes_until_trained(name):
    model, tokens = build(name)
    names = {*model.state_dict()}
    with torch.no_grad():
        before = tokens(model)
        report = put('insert', model, name)
        assert torch.equal(tokens(model), before)
    assert names <= {*model.state_dict()} and len(report.rows) == 2
    assert f'{len(report.rows)} layers' in str(report) and 'EMIMAttention' in str(report)
    assert torch.equal(tokens(copy.deepcopy(model)), before)
    assert a_step(model, tokens).isfinite()
    for parameter_name, parameter in model.named_parameters():
        if '.motion.module.proj' in parameter_name:  # what starts at zero
            assert parameter.any(), parameter_name
    assert not torch.equal(tokens(model), before)


@every_family
def test_replaced_it_has_the_attentions_weights_and_learns(name):
    model, tokens = build(name)
    originals = [
        attention for path, attention in model.named_modules() if path in replaced(model, name)
    ]
    put('replace', model, name)
    modules = [m for m in model.modules() if type(m).__name__ == 'EMIMAttention']
    assert len(modules) == len(originals) == 2
    for module, original in zip(modules, originals, strict=True):
        linear = {path.rpartition('.')[2]: m for path, m in original.named_modules()}
        x = torch.randn(4, 32)
        torch.testing.assert_close(module.qkv(x), torch.cat([m(x) for m in projections(linear)], 1))
        out = next(linear[key] for key in ('proj', 'o_proj', 'out_proj', 'dense') if key in linear)
        torch.testing.assert_close(module.proj(x), out(x))
    assert a_step(model, tokens).isfinite()
    for module in modules:
        assert all(p.grad.isfinite().all() for p in module.parameters())
        assert module.qkv.weight.grad.any() and module.rpb.grad.any()


def projections(linear):
    """q, k and v of an attention's layers, or what makes them at once."""
    names = ['qkv'], ['q_proj', 'k_proj', 'v_proj'], ['query', 'key', 'value']
    return next([linear[key] for key in x] for x in names if x[0] in linear)


def replaced(model, name):
    from fnmatch import fnmatchcase

    pattern = FAMILIES[name].layers[1].split('.')
    return [
        path
        for path, _ in model.named_modules()
        if len(path.split('.')) == len(pattern) and all(map(fnmatchcase, path.split('.'), pattern))
    ]


@pytest.mark.parametrize('name', [name for name in FAMILIES if name != 'timm ViT'])
@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_with_hidden_states_and_checkpointing_it_learns_the_same(name, mode):
    model, tokens = build(name)
    put(mode, model, name)
    model.forward = partial(model.forward, output_hidden_states=True)

    def answer_and_gradients():
        model.zero_grad()
        out = tokens(model)
        out.square().mean().backward()
        return out, [parameter.grad for parameter in model.parameters()]

    model.train(name != 'DINOv3')  # its positions are drawn anew in training
    expected = answer_and_gradients()
    model.gradient_checkpointing_enable()
    torch.testing.assert_close(answer_and_gradients(), expected)


@pytest.mark.parametrize('put_it', ['insert', 'replace'])
def test_timms_dinov3(put_it):
    name = 'vit_small_patch16_dinov3'
    model = need('timm').create_model(name, img_size=32, depth=2, num_classes=0).eval()
    x = torch.randn(6, 3, 32, 32)
    with torch.no_grad():
        before = model.forward_features(x)
        do = insert_motion if put_it == 'insert' else replace_attention
        where = 'blocks.*' if put_it == 'insert' else 'blocks.*.attn'
        report = do(model, EMIM, where, GRID, order='image', prefix=5)
        after = model.forward_features(x)
    assert len(report.rows) == 2 and after.isfinite().all()
    assert torch.equal(after, before) == (put_it == 'insert')


@pytest.mark.parametrize('norm', ['qk_norm', 'scale_attn_norm'])
def test_norms_of_timm_are_not_lost(norm):
    options = dict(img_size=16, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0)
    model = need('timm').models.VisionTransformer(**options, **{norm: True})
    with pytest.raises(ValueError, match='motion modules have no .*norm, this attention has'):
        put('replace', model, 'timm ViT')


COMPILED = [(name, 'aot_eager') for name in FAMILIES]
COMPILED += [(name, 'inductor') for name in ('timm ViT', 'DINOv2', 'VideoMAE')]


@pytest.mark.slow
@pytest.mark.parametrize('name, backend', COMPILED)
@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_compiled_it_computes_and_learns_the_same(name, backend, mode):
    model, tokens = build(name)
    put(mode, model, name)
    parameters = list(model.parameters())
    for parameter in parameters:
        if not parameter.any():  # of what was inserted
            nn.init.normal_(parameter, std=0.1)

    def answer_and_gradients():
        model.zero_grad()
        out = tokens(model)
        out.square().mean().backward()  # what is not used has no gradient, or zeros if compiled
        return out.detach(), [torch.zeros_like(x) if x.grad is None else x.grad for x in parameters]

    expected = answer_and_gradients()
    torch._dynamo.reset()
    call = 'forward_features' if name.startswith('timm') else 'forward'
    setattr(model, call, torch.compile(getattr(model, call), backend=backend))
    torch.testing.assert_close(answer_and_gradients(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every_family
@pytest.mark.parametrize('module', motion.__all__)
def test_every_module_is_inserted_as_nothing(name, module):
    model, tokens = build(name)
    with torch.no_grad():
        before = tokens(model)
        put('insert', model, name, dict(type=module))
        assert torch.equal(tokens(model), before)
