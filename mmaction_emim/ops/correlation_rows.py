"""Correlation of rows: a row of queries times the keys of a row, of which a band is kept.

For each vertical displacement one batched product of blocks of QUERIES queries with all keys that
they meet in that row, its band written out. Gradients likewise; they are first order.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

QUERIES = 32  # most in a block: products outside the band grow with it, calls shrink


def correlate_rows(a: Tensor, b: Tensor, patch: tuple[int, int], step: tuple[int, int]) -> Tensor:
    """Products of two maps at every displacement of a patch, by any steps.

    Args:
        a: (B, C, H, W), float32 or float64.
        b: The same shape, dtype and device.
        patch: Number of displacements, down and to the right.
        step: Step of the displacements, likewise.

    Returns:
        (B, patch[0], patch[1], H, W).
    """
    B, C, H, W = a.shape
    rows, columns = (-(-side // by) for side, by in zip((H, W), step, strict=True))
    blocks = -(-columns // QUERIES)
    queries = -(-columns // blocks)
    keys, padded = queries + patch[1] - 1, blocks * queries

    def split(x: Tensor) -> Tensor:
        """Rows and columns a step apart are a frame of its own: (rows, frames, C, columns)."""
        x = F.pad(x, (0, padded * step[1] - W, 0, rows * step[0] - H))
        x = x.view(B, C, rows, step[0], padded, step[1])
        return x.permute(2, 0, 3, 5, 1, 4).flatten(1, 3)

    top, left = ((n - 1) // 2 for n in patch)
    bottom, right = (n // 2 for n in patch)
    a = split(a).unflatten(3, (blocks, queries)).permute(0, 1, 3, 4, 2).flatten(1, 2)
    b = F.pad(split(b), (left, right, 0, 0, 0, 0, top, bottom))
    b = b.unfold(3, keys, queries).permute(0, 1, 3, 2, 4).flatten(1, 2)
    out = _Bands.apply(a.contiguous(), b.contiguous())
    out = out.view(patch[0], rows, B, *step, padded, patch[1])
    out = out.permute(2, 0, 6, 1, 3, 5, 4).flatten(5, 6).flatten(3, 4)
    return out[..., :H, :W]


class _Bands(torch.autograd.Function):
    """(rows, n, queries, C), (rows + p - 1, n, C, queries + q - 1) -> (p, rows, n, queries, q)."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        rows, n, queries, _ = a.shape
        products, band = _products(a, b)
        out = a.new_empty(len(b) - rows + 1, *band.shape)
        for i, each in enumerate(out):
            torch.bmm(a.flatten(0, 1), b[i : i + rows].flatten(0, 1), out=products)
            each.copy_(band)
        return out.unflatten(1, (rows, n))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        rows = len(a)
        products, band = _products(a, b)
        products.zero_()
        a_grad, b_grad = torch.zeros_like(a), torch.zeros_like(b)
        for i, each in enumerate(grad):
            band.copy_(each.flatten(0, 1))
            key, key_grad = (x[i : i + rows].flatten(0, 1) for x in (b, b_grad))
            a_grad.flatten(0, 1).baddbmm_(products, key.mT)
            key_grad.baddbmm_(a.flatten(0, 1).mT, products)
        return a_grad, b_grad


def _products(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the products of a row with one of keys, (rows * n, queries, keys), and its band."""
    queries, keys = a.shape[2], b.shape[3]
    products = a.new_empty(a.shape[0] * a.shape[1], queries, keys)
    shape = (len(products), queries, keys - queries + 1)
    return products, products.as_strided(shape, (queries * keys, keys + 1, 1))
