"""Local next-frame attention as matrix products over tiles, in plain operators: for export.

Same function as :mod:`.reference`, on the tiles of :mod:`.dense`. That one fills tensors in place,
in chunks, and has a gradient of its own, which no exporter knows; here every step is an operator of
torch, and what it scatters is gathered by the inverse index.
"""

from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from . import reference
from .dense import Tile, tiles
from .reference import PAD_VALUE


def cost_volume(q: Tensor, k: Tensor, bias: Tensor, window: int, out_of_frame: str) -> Tensor:
    return local_attention(q, k, k, bias, window, out_of_frame)[1]


def local_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, window: int, out_of_frame: str
) -> tuple[Tensor, Tensor]:
    grid = tiles(*q.shape[2:4], window, q.dtype, q.device)
    parts = [_attention(tile, q, k, v, bias, out_of_frame == 'mask') for tile in grid]
    context, affinity = (_joined(grid, part) for part in zip(*parts, strict=True))
    return context, affinity


motion_attention = partial(reference.motion_attention, attention=local_attention)


def _attention(
    tile: Tile, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: bool
) -> tuple[Tensor, Tensor]:
    """Context and affinity of a tile's queries, (N, heads, rows, columns, d or w*w)."""
    query = q[:, :, tile.rows, tile.columns]
    rows_columns, query = query.shape[2:4], query.flatten(2, 3)
    key, value = (x[:, :, tile.key_rows, tile.key_columns].flatten(2, 3) for x in (k, v))
    outside = query.sum(-1, keepdim=True) * PAD_VALUE
    affinity = _pick(torch.cat([query @ key.mT, outside], -1), tile.index)
    logits = affinity = affinity + bias.flatten(1)[:, None]
    if mask:
        affinity = affinity.masked_fill(tile.outside, 0.0)
        logits = affinity.masked_fill(tile.outside, float('-inf'))
    weight = logits.softmax(-1)
    context = _pick(F.pad(weight, (0, 1)), tile.inverse()) @ value
    context = context + (weight * tile.outside).sum(-1, keepdim=True) * PAD_VALUE
    return context.unflatten(2, rows_columns), affinity.unflatten(2, rows_columns)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    """(…, n, m), index (n, k) -> (…, n, k), by one list of places for all that comes before."""
    n, m = x.shape[-2:]
    places = index + m * torch.arange(n, device=x.device)[:, None]
    return x.flatten(-2).index_select(-1, places.flatten()).unflatten(-1, index.shape)


def _joined(grid: list[Tile], parts: tuple[Tensor, ...]) -> Tensor:
    rows = groupby(zip(grid, parts, strict=True), lambda pair: pair[0].rows)
    return torch.cat([torch.cat([part for _, part in row], 3) for _, row in rows], 2)
