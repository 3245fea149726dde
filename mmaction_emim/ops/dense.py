"""Local next-frame attention as batched matrix products over a grid and a gather of the window.

Same function as :mod:`reference`. A small frame is one grid: all its queries against all its keys,
plus one key that stands for everything outside. A large frame is cut into tiles, each against its
halo of keys, so that time and memory stay linear in H * W.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reference import PAD_VALUE, inside_frame

WHOLE_FRAME = 20 * 20  # tokens up to which all pairs of a frame cost less than tiles with halos
TILE = 14


def cost_volume(q: Tensor, k: Tensor, bias: Tensor, window: int, out_of_frame: str) -> Tensor:
    grid = _grid(q, window, out_of_frame)
    return grid.merge(_affinity(grid, grid.queries(q), grid.keys(k), bias))


def local_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, window: int, out_of_frame: str
) -> tuple[Tensor, Tensor]:
    grid = _grid(q, window, out_of_frame)
    values = grid.keys(v)  # (..., keys, d)
    affinity = _affinity(grid, grid.queries(q), grid.keys(k), bias)
    logits = affinity if grid.inside is None else affinity.masked_fill(~grid.inside, float('-inf'))
    weight = logits.softmax(dim=-1)
    # (..., queries, w*w) -> (..., queries, keys), zero outside the window
    index = grid.index.expand_as(weight)
    weight = weight.new_zeros(*weight.shape[:-1], values.shape[-2]).scatter_add(-1, index, weight)
    return grid.merge(weight @ values), grid.merge(affinity)


def _affinity(grid, q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
    """(..., queries, d), (..., keys, d) -> (..., queries, w*w)."""
    all_pairs = q @ k.transpose(-2, -1)
    affinity = all_pairs.gather(-1, grid.index.expand(*all_pairs.shape[:-1], -1))
    affinity = affinity + bias.flatten(1).view(grid.bias_shape)
    return affinity if grid.inside is None else affinity.masked_fill(~grid.inside, 0.0)


def _grid(q: Tensor, window: int, out_of_frame: str):
    H, W = q.shape[2:4]
    cls = _Frame if H * W <= WHOLE_FRAME else _Tiles
    return cls(H, W, window, out_of_frame == 'mask', q.device)


class _Frame:
    """One grid a frame: (N, heads, H*W, d) queries, (N, heads, H*W + 1, d) keys."""

    def __init__(self, H: int, W: int, window: int, mask: bool, device: torch.device) -> None:
        self.H, self.W = H, W
        self.bias_shape = (-1, 1, window * window)
        inside = inside_frame(H, W, window, device).flatten(0, 1)  # (H*W, w*w)
        r = window // 2
        offset = torch.arange(-r, r + 1, device=device)
        step = (offset[:, None] * W + offset).flatten()
        index = torch.arange(H * W, device=device)[:, None] + step
        self.index = index.where(inside, index.new_tensor(H * W))  # the last key is 'outside'
        self.inside = inside if mask else None

    def queries(self, q: Tensor) -> Tensor:
        return q.flatten(2, 3)

    def keys(self, k: Tensor) -> Tensor:
        return F.pad(k.flatten(2, 3), (0, 0, 0, 1), value=PAD_VALUE)

    def merge(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.H, self.W))


class _Tiles:
    """Tiles of a frame: (N, heads, rows, columns, TILE², d) queries against tiles with a halo."""

    def __init__(self, H: int, W: int, window: int, mask: bool, device: torch.device) -> None:
        self.H, self.W, self.r = H, W, window // 2
        self.bias_shape = (-1, 1, 1, 1, window * window)
        self.rows, self.columns = -(-H // TILE), -(-W // TILE)
        halo = TILE + 2 * self.r
        y, x = torch.arange(TILE, device=device), torch.arange(window, device=device)
        line = y[:, None] + x  # (TILE, w): the halo's rows or columns that a query's window covers
        index = line[:, None, :, None] * halo + line[None, :, None, :]
        self.index = index.reshape(TILE * TILE, window * window)
        self.inside = None
        if mask:
            # Queries beyond the frame's edge keep one key, lest their softmax be NaN.
            inside = inside_frame(H, W, window, device)
            inside = F.pad(inside, (0, 0, *self._missing()), value=True)
            self.inside = self._split(inside)

    def _missing(self) -> tuple[int, int, int, int]:
        return 0, self.columns * TILE - self.W, 0, self.rows * TILE - self.H

    def _split(self, x: Tensor) -> Tensor:
        # (..., rows*TILE, columns*TILE, d) -> (..., rows, columns, TILE*TILE, d)
        x = x.unflatten(-3, (self.rows, TILE)).unflatten(-2, (self.columns, TILE))
        return x.transpose(-4, -3).flatten(-3, -2)

    def queries(self, q: Tensor) -> Tensor:
        return self._split(F.pad(q, (0, 0, *self._missing())))

    def keys(self, k: Tensor) -> Tensor:
        halo = TILE + 2 * self.r
        left, right, top, bottom = (missing + self.r for missing in self._missing())
        k = F.pad(k, (0, 0, left, right, top, bottom), value=PAD_VALUE)
        k = k.unfold(2, halo, TILE).unfold(3, halo, TILE)  # (N, heads, rows, columns, d, y, x)
        return k.flatten(-2).transpose(-2, -1)

    def merge(self, x: Tensor) -> Tensor:
        # (..., rows, columns, TILE*TILE, c) -> (..., H, W, c)
        x = x.unflatten(-2, (TILE, TILE)).transpose(-4, -3).flatten(-5, -4).flatten(-3, -2)
        return x[..., : self.H, : self.W, :]
