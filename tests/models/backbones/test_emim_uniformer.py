import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from mmaction_emim.models import EMIMUniFormer
from mmaction_emim.models.backbones.emim_uniformer import EMIMBlock

GLOBAL = dict(arch='tiny', depth=[1, 1, 3, 2])
TINY = dict(**GLOBAL, window=3)


def layout(backbone):
    return [
        ''.join('L' if isinstance(block, EMIMBlock) else 'G' for block in stage)
        for stage in (backbone.blocks3, backbone.blocks4)
    ]


@pytest.mark.parametrize('arch, millions, emim_blocks', [('small', 21.42, 6), ('base', 50.01, 14)])
def test_size_is_the_papers(arch, millions, emim_blocks):
    backbone = EMIMUniFormer(arch=arch)
    parameters = sum(p.numel() for p in backbone.parameters()) + 174 * (512 + 1)  # the head
    assert round(parameters / 1e6, 2) == millions
    assert ''.join(layout(backbone)).count('L') == emim_blocks


@pytest.mark.parametrize(
    'alternation, expected',
    [
        ('LG', ['LGL', 'LG']),
        ('GL', ['GLG', 'GL']),
        ('G', ['GGG', 'GG']),
        (['L', 'G'], ['LLL', 'GG']),
    ],
    ids=str,
)
def test_alternation(alternation, expected):
    assert layout(EMIMUniFormer(**GLOBAL, alternation=alternation)) == expected


def test_all_global_is_upstreams_uniformer():
    torch.manual_seed(0)
    ours = EMIMUniFormer(arch='small', alternation='G', temporal_stride=2).eval()
    upstream = MODELS.get('mmaction.UniFormer')(depth=[3, 4, 8, 3]).eval()
    upstream.load_state_dict(ours.state_dict())
    x = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert 1e-6 < (ours(x) - upstream(x)).abs().max() < 1e-3  # eps of LayerNorm
    for block in [*upstream.blocks3, *upstream.blocks4]:
        block.norm1.eps = block.norm2.eps = 1e-6
    with torch.no_grad():
        torch.testing.assert_close(ours(x), upstream(x), rtol=1e-4, atol=1e-5)  # float32 sum order


def test_global_attention_drops_in_training_alone():
    network = EMIMUniFormer(**GLOBAL, alternation='G', attn_drop_rate=0.5, drop_path_rate=0.0)
    block = network.blocks3[0]
    x = torch.randn(1, 64, 2, 4, 4)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


@pytest.mark.parametrize('stride, frames', [(1, 5), (2, 3)])
def test_any_frames_and_sizes(stride, frames):
    backbone = EMIMUniFormer(**TINY, temporal_stride=stride)
    out = backbone(torch.randn(2, 3, 5, 64, 96))
    assert out.shape == (2, 64, frames, 2, 3)
    out.mean().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_channels_last_changes_no_value():
    torch.manual_seed(0)
    plain = EMIMUniFormer(**TINY).eval()
    fast = EMIMUniFormer(**TINY, channels_last=True).eval()
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 3, 64, 64)
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)  # float32 sum order


def test_init_weights():
    init_default_scope('mmaction')
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='EMIMUniFormer', arch='small', match_init=True))
    backbone.init_weights()
    attn = backbone.blocks3[0].attn
    q, k, _ = attn.qkv.weight.chunk(3)
    assert 0.018 < q.std() < 0.021 and torch.equal(q, k)
    assert not attn.motion_conv[2].weight.any()  # survives the parent's init_cfg
    assert attn.motion_conv[0].weight.std() > 0.05  # Xavier, not the parent's 0.02
    assert backbone.blocks3[0].norm1.eps == 1e-6


@pytest.mark.parametrize(
    'change',
    [
        dict(window=4),
        dict(window=[3, 5, 7]),
        dict(alternation='LX'),
        dict(arch='huge'),
        dict(head_dim=48),
        dict(temporal_stride=3),
        dict(depth=[1, 1]),
        dict(frozen_stages=5),
    ],
    ids=str,
)
def test_refuses_bad_arguments(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EMIMUniFormer(**{**TINY, **change})


@pytest.mark.parametrize(
    'change, sentence',
    [
        (dict(alternation='G', window=7), 'window=7 has no effect, since no layer is EMIM'),
        (dict(alternation='G', match_init=True), 'match_init=True has no effect'),
        (dict(alternation='G', out_of_frame='mask'), "out_of_frame='mask' has no effect"),
        (dict(alternation='L', attn_drop_rate=0.1), 'since no layer is global attention'),
        (dict(qk_scale=0.1), 'qk_scale=0.1 has no effect, since EMIM scales its queries by'),
    ],
    ids=str,
)
def test_an_option_without_effect_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        EMIMUniFormer(**GLOBAL, **change)


def test_frozen_stages_do_not_learn():
    net = EMIMUniFormer(**TINY, frozen_stages=2).train()
    for name, parameter in net.named_parameters():
        frozen = name.startswith(('patch_embed1', 'patch_embed2', 'blocks1', 'blocks2'))
        assert parameter.requires_grad == (not frozen), name
    for name, module in net.named_modules():
        if name.startswith(('patch_embed1', 'blocks1', 'blocks2')):
            assert not module.training, name
    assert net.blocks3.training and net.patch_embed3.training
    stem = EMIMUniFormer(**TINY, frozen_stages=0)
    assert not any(p.requires_grad for p in stem.patch_embed1.parameters())
    assert all(p.requires_grad for p in stem.blocks1.parameters())
