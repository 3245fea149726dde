import copy
import re

import pytest
import torch
from mmaction.registry import MODELS

from ..conftest import ATA, EMIM, M2A, ZOO


def motion_layers(backbone):
    return [
        name.removesuffix('.motion')
        for name, _ in backbone.named_modules()
        if name.endswith('.motion')
    ]


def emim_layers(backbone):
    return [n for n, m in backbone.named_modules() if type(m).__name__ == 'EMIMAttention']


def test_the_result_is_the_backbone_itself(swapped):
    for mode in ('replace', 'insert'):
        assert type(swapped('UniFormer', EMIM, mode)).__name__ == 'UniFormer'


def test_replaced_uniformer_is_emim_uniformer(swapped):
    """The builder and the paper's network agree, names and all."""
    depth, dims = ZOO['UniFormer'][0]['depth'], ZOO['UniFormer'][0]['embed_dim']
    emim = MODELS.build(
        dict(
            type='EMIMUniFormer', depth=depth, embed_dim=dims, head_dim=16, window=3,
            temporal_stride=2,
        )
    )  # fmt: skip
    ours = swapped('UniFormer', EMIM, 'replace')
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in emim.state_dict().items()
    }
    ours.load_state_dict(emim.state_dict())
    emim.eval()
    x = torch.randn(1, 3, 4, 64, 64)
    for blocks in (ours.blocks3, ours.blocks4):
        for block in blocks:
            block.norm1.eps = block.norm2.eps = 1e-6
    torch.testing.assert_close(ours(x), emim(x))


@pytest.mark.parametrize(
    'where, layers',
    [
        (dict(), ['0.0', '0.2', '0.4', '2.0', '2.2']),
        (dict(alternation='L'), ['0.0', '0.1', '0.2', '0.3', '0.4', '2.0', '2.1', '2.2']),
        (dict(alternation='GL', stages=[1]), ['0.1', '0.3']),
        (dict(alternation='LGG'), ['0.0', '0.3', '2.0']),
        (dict(layers='layers.*.blocks.1'), ['0.1', '2.1']),
        (dict(layers=['layers.0.*', 'layers.2.blocks.2'], stages=[3]), ['2.2']),
    ],
)
@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_where(where, layers, mode):
    arch = dict(embed_dims=16, depths=[5, 0, 3, 0], num_heads=[2] * 4)
    backbone = MODELS.build(
        dict(
            type='MotionBackbone', mode=mode, motion=dict(type='EMIMAttention', window=3), **where,
            backbone=dict(type='SwinTransformer3D', arch=arch, pretrained2d=False),
        )
    )  # fmt: skip
    found = {name.split('.attn')[0].split('.motion')[0] for name in emim_layers(backbone)}
    assert found == {f'layers.{name.replace(".", ".blocks.")}' for name in layers}


def test_m2a_goes_before_every_first_convolution_and_the_shift(swapped):
    tsm = swapped('ResNetTSM', M2A, 'insert', alternation='L')
    assert motion_layers(tsm) == [f'layer{s}.{b}.conv1' for s in (1, 2, 3, 4) for b in (0, 1)]
    assert type(tsm.layer1[0].conv1.conv).__name__ == 'TemporalShift'
    mobile = swapped('MobileNetV2TSM', M2A, 'insert', alternation='L')
    assert all(
        mobile.get_submodule(name.removesuffix('.conv.0')).use_res_connect
        for name in motion_layers(mobile)
    )
    assert len(motion_layers(mobile)) == 10


@pytest.mark.parametrize(
    'family, before, dims',
    [
        ('ResNetTSM', 'conv2', [64, 128, 256, 512]),
        ('TANet', 'conv2', [64, 128]),
        ('ResNet3dCSN', 'conv3', [8, 16, 32, 64]),
        ('MobileNetV2TSM', 'conv2', [144, 192, 384, 576, 960]),
    ],
)
def test_before_another_convolution(swapped, clip, family, before, dims):
    model = swapped(family, EMIM, 'insert', before=before, alternation='L', stages=None)
    layers = motion_layers(model)
    assert all(name.endswith((before, '.conv.1')) for name in layers)
    found = {model.get_submodule(name).motion.norm.normalized_shape[0] for name in layers}
    assert sorted(found) == dims


def test_frames_of_c2d_follow_its_input(swapped):
    c2d = swapped('C2D', EMIM, 'insert', stages=[1, 2])
    for T in (4, 8):
        assert c2d(torch.randn(1, 3, T, 32, 32)).shape[2] == T // 2


@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_one_clip_does_not_see_another(swapped, clip, mode):
    for family in ('TimeSformer', 'UniFormerV2', 'VisionTransformer', 'MViT'):
        model, x = swapped(family, EMIM, mode, zero_init=False), clip(family)
        alone, both = model(x[:1]), model(x)
        while isinstance(alone, tuple | list):
            alone, both = alone[-1], both[-1]
        torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('family', ['TimeSformer', 'VisionTransformer', 'UniFormerV2', 'ResNet'])
def test_a_module_sees_its_own_frames_and_places(swapped, clip, family):
    """Marks one patch of one frame in the input and looks where it is in the module's tokens."""
    model, x = swapped(family, EMIM, 'insert'), clip(family)
    seen = []
    module = next(m for m in model.modules() if type(m).__name__ == 'EMIMAttention')
    module.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    marked = x.clone()
    if x.dim() == 4:
        marked[6, :, 16:, :16] += 1  # frame 2 of clip 1, at the bottom left
        t = 2
    else:
        t = 2 if family != 'VisionTransformer' else 1  # its tubes are two frames long
        marked[1, :, x.shape[2] // 2 : x.shape[2] // 2 + 1, 24:, :8] += 1
        t = (x.shape[2] // 2) // (2 if family == 'VisionTransformer' else 1)
    with torch.no_grad():
        model(x), model(marked)
    B, T, H, W, _ = seen[0].shape
    change = (seen[1] - seen[0]).abs().sum(-1)
    n, frame, y, z = torch.unravel_index(change.argmax(), (B, T, H, W))
    assert (int(n), int(frame)) == (1, t)
    assert y >= H // 2 and z < W / 2


@pytest.mark.parametrize(
    'family, motion, arguments, sentence',
    [
        ('UniFormer', EMIM, dict(mode='swap'), "mode: got 'swap'; accepted are"),
        (
            'UniFormer',
            EMIM,
            dict(layers='block3.*'),
            "layers='block3.*' matches no layer; there are: blocks3.0 (stage 3), blocks3.1",
        ),
        (
            'UniFormer',
            EMIM,
            dict(layers='blocks1.0'),
            'cannot be replaced, since it has no attention; those that can be: blocks3.0, blocks3',
        ),
        (
            'UniFormer',
            EMIM,
            dict(stages=[1, 3]),
            "stages: got [1, 3]; accepted is a list of those where mode='replace' finds layers: "
            '[3, 4]',
        ),
        ('ResNetTSM', M2A, dict(mode='insert', stages=[9]), 'got [9]; accepted is a list of those'),
        ('ResNetTSM', M2A, dict(mode='insert', stages=3), 'stages: got 3; accepted is a list'),
        ('ResNetTSM', M2A, dict(mode='insert', stages=[]), 'stages: got []; accepted is a list'),
        ('UniFormer', EMIM, dict(alternation='LX'), "made of 'L' and 'G', got 'LX'"),
        ('UniFormer', M2A, dict(), 'MotionAwareAttention: its output includes its input'),
        ('UniFormer', ATA, dict(), "over time only, UniFormer's attention also over space"),
        ('MViT', EMIM, dict(layers='blocks.1'), 'since its attention pools the grid'),
        ('ResNet', EMIM, dict(num_segments=4), "has no attention to replace; use mode='insert'"),
        (
            'ResNet',
            EMIM,
            dict(mode='insert', num_segments=None),
            'num_segments must be the frames of a clip, since ResNet is given single frames, got N',
        ),
        (
            'X3D',
            M2A,
            dict(mode='insert', before='conv4'),
            "before: got 'conv4'; accepted in X3D are ['conv1', 'conv2', 'conv3']",
        ),
        (
            'ResNetTSM',
            EMIM,
            dict(mode='insert', before='conv3'),
            "before: got 'conv3'; accepted in ResNetTSM are ['conv1', 'conv2']",
        ),
        ('X3D', M2A, dict(mode='insert', layers='layer9*'), "layers='layer9*' matches no layer"),
    ],
)
def test_wrong_arguments(swapped, family, motion, arguments, sentence):
    with pytest.raises(ValueError) as error:
        swapped(family, motion, **{'mode': 'replace', **arguments})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    'family, arguments, sentence',
    [
        ('UniFormer', dict(before='conv9'), "before='conv9' has no effect in UniFormer, which has"),
        ('MViT', dict(mode='insert', before='conv1'), "before='conv1' has no effect in MViT"),
        ('UniFormer', dict(num_segments=3), 'num_segments=3 has no effect in UniFormer, which kn'),
        ('X3D', dict(mode='insert', num_segments=4), 'num_segments=4 has no effect in X3D, which'),
        ('C2D', dict(mode='insert', num_segments=4), 'num_segments=4 has no effect in C2D, which'),
        (
            'ResNetTSM',
            dict(mode='insert', num_segments=3),
            'num_segments: got 3, but ResNetTSM itself has 4; leave it out',
        ),
        ('UniFormer', dict(zero_init=True), "zero_init=True has no effect with mode='replace'"),
        (
            'UniFormer',
            dict(layers='blocks3.*', alternation='XYZ'),
            "alternation='XYZ' has no effect beside layers; leave it out",
        ),
    ],
    ids=str,
)
def test_an_option_without_effect_is_refused(family, arguments, sentence):
    cfg = dict(type='MotionBackbone', backbone=dict(type=family, **ZOO[family][0]))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        MODELS.build({**cfg, 'motion': dict(type=EMIM), **arguments})


def test_num_segments_that_the_backbone_has_too(swapped):
    assert motion_layers(swapped('ResNetTSM', EMIM, 'insert', num_segments=4))


def test_an_unsupported_backbone_and_space_only_attention():
    motion = dict(type='EMIMAttention')
    with pytest.raises(ValueError, match='C3D is not supported; supported are UniFormer, '):
        MODELS.build(dict(type='MotionBackbone', backbone=dict(type='C3D'), motion=motion))
    backbone = dict(
        type='TimeSformer', num_frames=4, img_size=32, patch_size=8, embed_dims=32, num_heads=2,
        num_transformer_layers=2, attention_type='space_only',
    )  # fmt: skip
    with pytest.raises(ValueError, match="attention_type='space_only' has none over time"):
        MODELS.build(dict(type='MotionBackbone', backbone=backbone, motion=motion))
    cfg = dict(type='MotionBackbone', backbone=backbone, motion=motion, mode='insert')
    assert MODELS.build(cfg)(torch.randn(2, 3, 4, 32, 32)).shape == (2, 32)


def test_a_layer_with_one_frame_is_named(swapped):
    model = swapped('ResNet2Plus1d', EMIM, 'insert', stages=[4])
    with pytest.raises(ValueError, match=r'layer4.0.conv1: EMIMAttention: .* T of 2 or more'):
        model(torch.randn(1, 3, 4, 32, 32))
    with pytest.raises(ValueError, match='7 frames in a batch are no multiple of num_segments=4'):
        swapped('ResNet', EMIM, 'insert')(torch.randn(7, 3, 32, 32))


def test_the_table_counts_what_was_added(log, plain, swapped):
    count = {}
    for name, model in (
        ('plain', plain('ResNet')),
        ('insert', swapped('ResNet', M2A, 'insert', alternation='L')),
    ):
        count[name] = sum(p.numel() for p in model.parameters())
    out = next(message for message in log if 'insert in ResNet' in message)
    assert 'layer1.0.conv1' in out
    assert f'+{count["insert"] - count["plain"]:,} (of {count["insert"]:,})' in out


@pytest.mark.parametrize('mode', ['insert', 'replace'])
def test_the_backbones_freezing_leaves_motion_alone(mode):
    family = 'ResNetTSM' if mode == 'insert' else 'SwinTransformer3D'
    motion = dict(type=M2A if mode == 'insert' else EMIM)
    backbone = {**ZOO[family][0], 'type': family, 'frozen_stages': 3}
    built = MODELS.build(dict(type='MotionBackbone', backbone=backbone, motion=motion, mode=mode))
    for network in (built, copy.deepcopy(built)):
        network.train()
        where = [f'{name}.motion' for name in motion_layers(network)] or emim_layers(network)
        ours = tuple(f'{name}.' for name in where)
        frozen, learning = 0, 0
        for name, parameter in network.named_parameters():
            if name.startswith(ours):
                assert parameter.requires_grad, name
                learning += 1
            frozen += not parameter.requires_grad
        assert frozen and learning
        assert all(network.get_submodule(name).training for name in where)


def test_motion_that_was_frozen_stays_so():
    backbone = {**ZOO['ResNetTSM'][0], 'type': 'ResNetTSM', 'frozen_stages': 3}
    built = MODELS.build(
        dict(type='MotionBackbone', backbone=backbone, motion=dict(type=M2A), mode='insert')
    )
    first = built.get_submodule(motion_layers(built)[0]).motion
    first.requires_grad_(False)
    built.train()
    assert not any(parameter.requires_grad for parameter in first.parameters())
