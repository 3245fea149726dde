import pytest
import torch
from mmengine.registry import init_default_scope

from mmaction_emim.models import EMIMNeck, MotionNeck, motion

OVER_TIME = dict(type='AlignmentGuidedTemporalAttention', assignment='none')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmaction')
    torch.manual_seed(0)


def trained(neck):
    with torch.no_grad():
        for parameter in neck.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return neck


@pytest.mark.parametrize('name', motion.__all__)
def test_every_module_starts_as_the_identity_and_learns(name):
    neck = MotionNeck(32, dict(type=name), head_dim=16, depth=2)
    neck.init_weights()
    x = torch.randn(2, 32, 4, 3, 3)
    out = neck(x)[0]
    torch.testing.assert_close(out, x)
    out.square().mean().backward()
    gradients = [p.grad for p in neck.parameters() if p.grad is not None]
    assert any(g.any() for g in gradients) and all(g.isfinite().all() for g in gradients)


def test_of_emim_it_computes_what_its_own_neck_does():
    ours = trained(EMIMNeck(64, window=3, channels=32, head_dim=16, depth=2))
    other = MotionNeck(64, dict(type='EMIMAttention', window=3), 16, depth=2, channels=32)
    names = {
        'norm.': 'blocks.0.norm.',
        'attn.': 'blocks.0.module.',
        'more.0.norm.': 'blocks.1.norm.',
        'more.0.attn.': 'blocks.1.module.',
    }
    weights = {}
    for name, weight in ours.state_dict().items():
        start = next((old for old in sorted(names, key=len)[::-1] if name.startswith(old)), '')
        weights[names.get(start, '') + name.removeprefix(start)] = weight
    other.load_state_dict(weights)
    x = torch.randn(1, 64, 4, 3, 3)
    torch.testing.assert_close(other(x)[0], ours(x)[0])


def test_attention_over_time_tells_the_order_of_frames_by_their_embedding():
    x = torch.randn(1, 32, 4, 3, 3)
    blind = trained(MotionNeck(32, OVER_TIME, 16))
    seeing = trained(MotionNeck(32, OVER_TIME, 16, num_frames=4))
    changes = [
        (neck(x.flip(2))[0].mean((2, 3, 4)) - neck(x)[0].mean((2, 3, 4))).abs().max()
        for neck in (blind, seeing)
    ]
    assert changes[0] < 1e-5 and changes[1] > 1e-4
    moved = x.clone()
    moved[..., 0, 0] += 1
    apart = (blind(moved)[0] - blind(x)[0]).abs().amax((0, 1, 2))
    assert apart[0, 0] > 0.5 and apart.flatten()[1:].max() == 0  # places never meet


def test_a_projection_alone():
    neck = MotionNeck(64, None, channels=32, head_dim=16, depth=0)
    assert {name.split('.')[0] for name in neck.state_dict()} == {'reduce'}
    assert neck(torch.randn(1, 64, 2, 3, 3))[0].shape == (1, 32, 2, 3, 3)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(depth=0), 'depth must be 1 or more, or 0 with channels, got 0'),
        (dict(head_dim=5, channels=16), 'head_dim must divide channels=16, got 5'),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(ValueError, match=message):
        MotionNeck(**{**dict(in_channels=32, motion=OVER_TIME, head_dim=16), **options})


def test_wrong_channels_name_the_right_number_before_head_dim():
    neck = MotionNeck(32, OVER_TIME, head_dim=5)
    with pytest.raises(ValueError, match='MotionNeck: model.neck.in_channels must be 64, '):
        neck(torch.zeros(1, 64, 3, 2, 2))
    with pytest.raises(ValueError, match='MotionNeck: head_dim must divide in_channels=32, got 5'):
        neck(torch.zeros(1, 32, 3, 2, 2))


def test_refuses_other_frames():
    neck = MotionNeck(32, OVER_TIME, 16, num_frames=4)
    with pytest.raises(ValueError, match='MotionNeck: num_frames must be 3, .* got 4'):
        neck(torch.zeros(1, 32, 3, 2, 2))
