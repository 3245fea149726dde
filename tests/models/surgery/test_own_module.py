"""Motion modules of one's own: any nn.Module on tokens, from a file beside a config."""

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ..conftest import ZOO, evaluating

MODULE = """
from mmaction.registry import MODELS
from torch import nn

@MODELS.register_module()
class FrameDifference(nn.Module):
    def __init__(self, dim, hidden=8):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x):
        return self.mlp(x - x.roll(1, dims=1))
"""
CONFIG = """
custom_imports = dict(imports=['mmaction_emim', 'own_motion'], allow_failed_imports=False)
default_scope = 'mmaction'
model = dict(
    type='Recognizer2D',
    backbone=dict(
        type='MotionBackbone',
        backbone=dict(type='ResNetTSM', depth=18, num_segments=4, pretrained=None),
        motion=dict(type='FrameDifference', hidden=4),
        mode='insert',
    ),
    cls_head=dict(type='TSMHead', num_classes=3, in_channels=512, num_segments=4),
)
"""


class Difference(nn.Module):
    """The least that a motion module is: no argument, no attribute, no parameter."""

    def forward(self, x):
        return x - x.roll(1, dims=1)


class Gated(nn.Module):
    """Its output includes its input; what it says of itself, it says in an instance."""

    def __init__(self, dim, **kwargs):
        super().__init__()
        self.includes_input = True
        self.gate = nn.Linear(dim, dim)

    def forward(self, x):
        return x * self.gate(x)


class Projected(nn.Module):
    """Takes over the value projection and the output projection of attention, and its options."""

    def __init__(self, dim, num_heads, qkv_bias, proj_drop):
        super().__init__()
        self.given = num_heads, qkv_bias, proj_drop
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        return self.proj(self.qkv(x).chunk(3, dim=-1)[2])


class Derived(Projected):
    """Its own options and, through ``**kwargs``, those of its base."""

    def __init__(self, dim, extra=1, **kwargs):
        super().__init__(dim, **kwargs)


class WithChannels(nn.Module):
    def __init__(self, channels):
        super().__init__()


class OneFrame(nn.Module):
    def forward(self, x):
        return x[:, :1]


def build(family, mode, cls, motion=None, **arguments):
    init_default_scope('mmaction')
    torch.manual_seed(1)
    cfg = dict(type='MotionBackbone', backbone=dict(type=family, **ZOO[family][0]), mode=mode)
    return evaluating(MODELS.build({**cfg, 'motion': dict(type=cls, **motion or {}), **arguments}))


def modules(model, cls):
    return [module for module in model.modules() if type(module) is cls]


@pytest.mark.parametrize('cls', [Difference, Gated])
def test_starts_as_nothing_by_a_layer_scale(plain, clip, cls):
    ours, original, x = build('VisionTransformer', 'insert', cls), plain('VisionTransformer'), None
    ours.load_state_dict(original.state_dict(), strict=False)
    x = clip('VisionTransformer')
    assert torch.equal(ours(x), original(x))
    ours.init_weights()  # as a Runner does
    original.load_state_dict(ours.state_dict(), strict=False)
    assert torch.equal(ours(x), original(x))
    scales = {n: p for n, p in ours.named_parameters() if n.endswith('motion.layer_scale')}
    assert list(scales) == ['blocks.0.motion.layer_scale']
    ours(x).square().mean().backward()
    assert all(scale.grad.any() for scale in scales.values())
    for scale in scales.values():
        nn.init.ones_(scale)
    scaled = ours(x)
    assert not torch.allclose(scaled, original(x))
    free = build('VisionTransformer', 'insert', cls, zero_init=False)
    missing = free.load_state_dict(ours.state_dict(), strict=False)
    assert not missing.missing_keys and missing.unexpected_keys == list(scales)
    torch.testing.assert_close(free(x), scaled)


@pytest.mark.parametrize('cls', [Projected, Derived])
def test_gets_the_options_that_it_takes_and_the_weights_of_its_names(plain, cls):
    ours = build('VisionTransformer', 'replace', cls)
    (module,) = modules(ours, cls)
    assert module.given == (2, True, 0.0)
    original = plain('VisionTransformer')
    ours.load_state_dict(original.state_dict(), strict=False)
    assert torch.equal(module.qkv.weight, original.blocks[0].attn.qkv.weight)
    assert torch.equal(module.proj.bias, original.blocks[0].attn.proj.bias)


def test_replaces_without_taking_anything(clip):
    ours = build('SwinTransformer3D', 'replace', Difference)
    assert modules(ours, Difference)
    assert ours(clip('SwinTransformer3D')).isfinite().all()


@pytest.mark.parametrize(
    'cls, motion, sentence',
    [
        (
            WithChannels,
            {},
            r"WithChannels: .* required positional argument: 'channels'; Mot",
        ),
        (Difference, dict(window=3), r"Difference: .* got an unexpected keyword argument 'window'"),
        (dict, {}, r'motion: dict must be an nn.Module on \(B, T, H, W, C\), got dict'),
    ],
)
def test_constructors_that_cannot_be_called(cls, motion, sentence):
    with pytest.raises(ValueError, match=sentence):
        build('ResNetTSM', 'insert', cls, motion)


@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_another_shape_is_refused(clip, mode):
    """Not broadcast over the clip in silence."""
    ours = build('UniFormer', mode, OneFrame)
    with pytest.raises(ValueError, match=r'OneFrame: .* \(2, \d, .* got \(2, 1, '):
        ours(clip('UniFormer'))


@pytest.mark.parametrize('motion', ['EMIMAttention', {}, dict(window=3)], ids=str)
def test_a_motion_without_a_type(motion):
    init_default_scope('mmaction')
    cfg = dict(type='MotionBackbone', backbone=dict(type='ResNet', depth=18), motion=motion)
    with pytest.raises(ValueError, match='motion must be a dict with a type, got'):
        MODELS.build(cfg)


def test_two_files_are_enough(tmp_path, monkeypatch):
    """A module and a config that imports it, as tools/train.py reads them: it trains."""
    (tmp_path / 'own_motion.py').write_text(MODULE)
    (tmp_path / 'config.py').write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    cfg = Config.fromfile(tmp_path / 'config.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    clips = torch.randn(2, 4, 3, 32, 32)
    samples = [ActionDataSample().set_gt_label(i) for i in range(2)]
    layers = [m for m in model.modules() if type(m).__name__ == 'FrameDifference']
    assert len(layers) == 4 and layers[0].mlp[0].out_features == 4
    for parameter in model.backbone.parameters():
        if not parameter.any():
            nn.init.normal_(parameter)  # LayerScales, which begin at zero
    model.loss(clips, samples)['loss_cls'].backward()
    assert all(p.grad.any() for layer in layers for p in layer.parameters())
