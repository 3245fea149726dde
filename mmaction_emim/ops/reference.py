"""Local next-frame attention, offset by offset: the definition that every backend must match.

Source: EMIM, arXiv 2510.18705; steps 2 to 6 of the operator.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

PAD_VALUE = 1e-6  # what keys and values hold outside the frame, in every channel
QUICK = 1.702  # QuickGELU(x) = x * sigmoid(1.702 x)


class MLP(NamedTuple):
    """Weights, as ``nn.Linear`` holds them, of ``fc2(QuickGELU(fc1(x)))``."""

    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor


def _windows(x: Tensor, window: int) -> Iterator[Tensor]:
    """Yield ``x`` (N, heads, H, W, d) shifted by each offset, row-major over (dy, dx)."""
    H, W = x.shape[2:4]
    r = window // 2
    padded = F.pad(x, (0, 0, r, r, r, r), value=PAD_VALUE)
    for dy in range(window):
        for dx in range(window):
            yield padded[:, :, dy : dy + H, dx : dx + W]


def inside_frame(H: int, W: int, window: int, device: torch.device | None = None) -> Tensor:
    """(H, W, w*w) bool: does the offset's key lie inside the frame?"""
    r = window // 2
    offset = torch.arange(-r, r + 1, device=device)
    row = torch.arange(H, device=device)[:, None] + offset  # (H, w)
    column = torch.arange(W, device=device)[:, None] + offset  # (W, w)
    row_in = (row >= 0) & (row < H)
    column_in = (column >= 0) & (column < W)
    return (row_in[:, None, :, None] & column_in[None, :, None, :]).flatten(2)


def cost_volume(q: Tensor, k: Tensor, bias: Tensor, window: int, out_of_frame: str) -> Tensor:
    affinity = torch.stack([(q * key).sum(-1) for key in _windows(k, window)], dim=-1)
    affinity = affinity + bias.flatten(1)[:, None, None, :]
    if out_of_frame == 'mask':
        inside = inside_frame(*q.shape[2:4], window, q.device)
        affinity = affinity.masked_fill(~inside, 0.0)
    return affinity


def local_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, window: int, out_of_frame: str
) -> tuple[Tensor, Tensor]:
    affinity = cost_volume(q, k, bias, window, out_of_frame)
    logits = affinity
    if out_of_frame == 'mask':
        inside = inside_frame(*q.shape[2:4], window, q.device)
        logits = logits.masked_fill(~inside, float('-inf'))
    weight = logits.softmax(dim=-1)
    context = sum(weight[..., i, None] * value for i, value in enumerate(_windows(v, window)))
    return context, affinity


def motion_attention(
    qkv: Tensor,
    bias: Tensor,
    window: int,
    mlp: MLP,
    scale: float,
    out_of_frame: str,
    attention: Callable[..., tuple[Tensor, Tensor]] = local_attention,
) -> Tensor:
    B, T = qkv.shape[:2]
    q, k, v = qkv.permute(4, 0, 1, 5, 2, 3, 6)  # 3 x (B, T, heads, H, W, d)
    q, k, v = (q[:, :-1] * scale).flatten(0, 1), k[:, 1:].flatten(0, 1), v[:, 1:].flatten(0, 1)
    context, affinity = attention(q, k, v, bias, window, out_of_frame)
    hidden = F.linear(affinity, mlp.weight1, mlp.bias1)
    motion = F.linear(hidden * torch.sigmoid(QUICK * hidden), mlp.weight2, mlp.bias2)
    # (B * (T-1), heads, H, W, d) -> (B, T-1, H, W, heads, d)
    return (context + motion).unflatten(0, (B, T - 1)).permute(0, 1, 3, 4, 2, 5)
