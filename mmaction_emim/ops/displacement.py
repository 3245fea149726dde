"""Where the affinity says that each patch goes: the expected offset under its softmax.

Source: ours; that the affinity is a cost volume is EMIM's, arXiv 2510.18705. The confidence is the
dual softmax by which matching methods judge a match (Sun et al., LoFTR, arXiv 2104.00680).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .reference import inside_frame

NEAR = 1.5  # tokens: the 3 x 3 offsets around a displacement of whole tokens


class MotionField(NamedTuple):
    """Displacement of every token to the next frame, and how far it can be believed.

    Attributes:
        displacement: (..., H, W, 2), x to the right and y down, in tokens of the layer's grid.
        confidence: (..., H, W), from 0 to 1: how much a token and the keys less than 1.5 tokens
            from where it goes choose each other. It is the sum, over these keys, of the share of
            the token's softmax that a key has, times the share that the token has of the key's
            softmax over all tokens whose window it is in. A key that many tokens look at, and two
            rivals far apart, whose mean is neither, give little.
    """

    displacement: Tensor
    confidence: Tensor


def motion_field(affinity: Tensor, window: int, head: int | None = None) -> MotionField:
    """Expected displacement under the softmaxed affinity, and its confidence.

    Offsets whose key lies outside the frame take no part, whatever ``out_of_frame`` was: a patch
    cannot be seen to go there. Both outputs carry gradients to the affinity.

    Args:
        affinity: :func:`.cost_volume`'s, (..., heads, H, W, window * window), floating point.
        window: Side of the window; odd, 3 or more.
        head: The head to read; None (default) averages the softmaxes of all.

    Returns:
        :class:`MotionField`, (..., H, W, 2) and (..., H, W), float32 (float64 stays).

    Raises:
        ValueError: ``head`` is none of the affinity's, or the last size is not the window's.
    """
    if affinity.dim() < 4 or affinity.shape[-1] != window * window:
        raise ValueError(
            f'affinity must be (..., heads, H, W, {window * window}), got {tuple(affinity.shape)}'
        )
    heads, H, W = affinity.shape[-4:-1]
    if head is not None and not 0 <= head < heads:
        raise ValueError(f'head must be from 0 to {heads - 1}, got {head}')
    affinity = affinity.to(torch.promote_types(affinity.dtype, torch.float32))
    if head is not None:
        affinity = affinity.narrow(-4, head, 1)
    inside = inside_frame(H, W, window, affinity.device).flatten(0, 1)  # (H*W, w*w)
    logits = affinity.flatten(-3, -2).masked_fill(~inside, float('-inf'))
    weight = logits.softmax(-1)  # (..., heads, H*W, w*w)
    agreement = weight * _chosen_by_key(logits, inside, H, W, window)
    weight, agreement = weight.mean(-3), agreement.mean(-3)

    side = torch.arange(window, device=weight.device, dtype=weight.dtype) - window // 2
    offsets = torch.cartesian_prod(side, side).flip(-1)  # (w*w, 2), x and y
    displacement = weight @ offsets
    distance = torch.linalg.vector_norm(displacement.unsqueeze(-2) - offsets, dim=-1)
    confidence = (agreement * (distance < NEAR)).sum(-1)
    return MotionField(displacement.unflatten(-2, (H, W)), confidence.unflatten(-1, (H, W)))


def _chosen_by_key(logits: Tensor, inside: Tensor, H: int, W: int, window: int) -> Tensor:
    """Each query's share in the softmax of each key over the queries whose window it is in."""
    offset = torch.arange(window, device=logits.device) - window // 2
    row = (torch.arange(H, device=logits.device)[:, None] + offset).clamp(0, H - 1)
    column = (torch.arange(W, device=logits.device)[:, None] + offset).clamp(0, W - 1)
    key = (row[:, None, :, None] * W + column[None, :, None, :]).flatten(2).flatten(0, 1)
    query = key.flip(-1)  # the one that sees a place at an offset is at the opposite offset from it
    seen = logits.gather(-2, query.expand_as(logits))
    total = seen.masked_fill(~inside.flip(-1), float('-inf')).logsumexp(-1)  # (..., keys)
    return (logits - total[..., key]).exp()
