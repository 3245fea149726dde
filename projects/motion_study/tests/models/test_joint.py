import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from projects.motion_study.models import JointAttention
from projects.motion_study.runs import CONFIGS


@pytest.mark.parametrize('bias', [True, False])
def test_equals_torchs_multihead_attention(bias):
    torch.manual_seed(0)
    ours = JointAttention(32, 4, qkv_bias=bias)
    theirs = nn.MultiheadAttention(32, 4, bias=bias, batch_first=True)
    weights = {'in_proj_weight': ours.qkv.weight, 'out_proj.weight': ours.proj.weight}
    if bias:
        weights |= {'in_proj_bias': ours.qkv.bias, 'out_proj.bias': ours.proj.bias}
    else:
        nn.init.zeros_(ours.proj.bias)
    theirs.load_state_dict(weights)
    x = torch.randn(2, 3, 4, 5, 32)
    tokens = x.flatten(1, 3)
    want = theirs(tokens, tokens, tokens, need_weights=False)[0].view_as(x)
    torch.testing.assert_close(ours(x), want)


def test_keys_match_if_asked():
    for match in (True, False):
        q, k, _ = JointAttention(8, 2, match_init=match).qkv.weight.chunk(3)
        assert torch.equal(q, k) == match


def test_heads_divide_the_channels():
    with pytest.raises(ValueError, match='num_heads must divide dim=8, got 3'):
        JointAttention(8, 3)


@pytest.mark.parametrize('network', ['uniformer-tiny', 'vit-tiny'])
def test_in_place_of_joint_attention_it_changes_nothing(network):
    init_default_scope('mmaction')
    backbone = Config.fromfile(CONFIGS / f'{network}.py').model.backbone
    swap = dict(type='MotionBackbone', motion=dict(type='JointAttention'))
    torch.manual_seed(0)
    original, ours = MODELS.build(backbone).eval(), MODELS.build({**swap, 'backbone': backbone})
    assert any(isinstance(m, JointAttention) for m in ours.eval().modules())
    original.init_weights()
    ours.load_state_dict(original.state_dict())
    clip = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(clip), original(clip))
