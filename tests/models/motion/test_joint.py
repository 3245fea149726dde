import pytest
import torch
from torch import nn

from mmaction_emim.models.motion import JointAttention


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
