"""Operators report their products to torch's counter, whichever backend runs them."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from mmaction_emim import ops
from mmaction_emim.models.motion import EMIMAttention


def macs(call):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def test_local_attention():
    """5 pairs, 2 heads, 2 x 3 tokens of 4 channels, windows of 9."""
    q, k, v = torch.zeros(3, 5, 2, 2, 3, 4)
    bias = torch.zeros(2, 3, 3)
    affinity = 5 * 2 * 6 * 4 * 9
    assert macs(lambda: ops.cost_volume(q, k, bias, 3)) == affinity
    assert macs(lambda: ops.local_attention(q, k, v, bias, 3)) == 2 * affinity


def test_emim():
    """2 frames of 2 x 3 tokens, 8 channels in 2 heads, window 3."""
    module = EMIMAttention(8, 2, window=3)
    linear = 2 * 6 * 8 * 24 + 6 * 8 * 8  # qkv of both frames, proj of the one pair
    windows = 2 * 6 * 8 * 9  # q with keys, softmax with values
    motion = 6 * 2 * (9 * 36 + 36 * 4)
    assert macs(lambda: module(torch.zeros(1, 2, 2, 3, 8))) == linear + windows + motion
