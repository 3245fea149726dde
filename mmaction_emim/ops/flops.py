"""Products of the operators, for ``torch.utils.flop_counter``: the same for every backend.

A query meets the w * w keys of its window, and its softmax as many values; the motion MLP takes
the w * w affinities. ``'reference'`` has no operator and no matrix product: it is not counted.
"""

from math import prod

import torch
from torch.utils.flop_counter import register_flop_formula

from . import registration  # noqa: F401  defines the operators

Shape = tuple[int, ...]


@register_flop_formula(torch.ops.mmaction_emim.local_attention)
def _local_attention(q: Shape, k: Shape, v: Shape | None, bias: Shape, *_, **__) -> int:
    return 2 * prod(q) * bias[-1] * bias[-2] * (1 if v is None else 2)


@register_flop_formula(torch.ops.mmaction_emim.motion_attention)
def _motion_attention(
    qkv: Shape, bias: Shape, weight1: Shape, bias1: Shape, weight2: Shape, *_, **__
) -> int:
    B, T, H, W, _, heads, d = qkv
    products = 2 * bias[-1] * bias[-2] * d + prod(weight1) + prod(weight2)
    return 2 * B * (T - 1) * H * W * heads * products
