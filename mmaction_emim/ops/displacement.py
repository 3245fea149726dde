"""Where the affinity says that each patch goes: the expected offset under its softmax.

Source: ours; that the affinity is a cost volume is EMIM's, arXiv 2510.18705.
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
        confidence: (..., H, W), from 0 to 1: the share of the softmax at offsets less than 1.5
            tokens from the displacement. Two rivals far apart, whose mean is neither, give 0.
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
    outside = ~inside_frame(H, W, window, affinity.device)
    weight = affinity.masked_fill(outside, float('-inf')).softmax(-1).mean(-4)  # (..., H, W, w*w)
    side = torch.arange(window, device=weight.device, dtype=weight.dtype) - window // 2
    offsets = torch.cartesian_prod(side, side).flip(-1)  # (w*w, 2), x and y
    displacement = weight @ offsets
    distance = torch.linalg.vector_norm(displacement.unsqueeze(-2) - offsets, dim=-1)
    return MotionField(displacement, (weight * (distance < NEAR)).sum(-1))
