"""Local next-frame attention as batched matrix products over tiles and a gather of the window.

Same function as :mod:`.reference`. A tile of queries meets all keys that its windows reach inside
the frame, plus one key that stands for everything outside. Frame pairs go through in chunks that
stay in cache, so that no temporary grows with the batch, and the gradient is written out by hand:
from q, k, v and the affinity it recomputes the rest.

Views are (B, P, heads, H, W, d): videos, frame pairs, heads, height, width, channels of a head.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mmaction_emim.compat import softmax_backward

from .reference import MLP, PAD_VALUE, QUICK, inside_frame

KEEPS_AFFINITY = True  # the gradient starts from it
# Side of a tile, about, and products of queries and keys in a chunk. On the CPU a chunk stays in
# cache and in memory that malloc does not give back; elsewhere launches cost more than memory.
TILE, CHUNK = 7, 1 << 17
TILE_ON_GPU, CHUNK_ON_GPU = 14, 1 << 26


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor | None,
    bias: Tensor,
    mlp: MLP | None,
    scale: float,
    mask: bool,
    context: Tensor | None,
    affinity: Tensor | None,
) -> None:
    """Fill ``context`` (plus the motion features if there is an ``mlp``) and ``affinity``."""
    bias = bias.to(_compute_dtype(q)).flatten(1)[:, None]
    mlp = mlp and _folded(mlp, bias.dtype)
    for tile, chunk in _tiles_and_chunks(q, bias, mask):
        query, key = tile.queries(q[chunk], scale), tile.keys(k[chunk])
        logits = tile.gather(query @ key.mT)
        logits += bias
        if mask:
            logits.masked_fill_(tile.outside, 0.0)
        if affinity is not None:
            tile.put(affinity[chunk], logits)
        if v is not None:
            out = tile.spread(_softmax(tile, logits, mask)) @ tile.keys(v[chunk])
            if mlp is not None:
                hidden = F.silu(
                    torch.addmm(mlp.bias1, logits.flatten(0, -2), mlp.weight1.t()), True
                )
                out.view(-1, out.shape[-1]).addmm_(hidden, mlp.weight2.t()).add_(mlp.bias2)
            tile.put(context[chunk], out)


def backward(
    context_grad: Tensor | None,
    affinity_grad: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor | None,
    bias: Tensor,
    mlp: MLP | None,
    scale: float,
    mask: bool,
    affinity: Tensor,
    q_grad: Tensor,
    k_grad: Tensor,
    v_grad: Tensor | None,
) -> tuple[Tensor, MLP | None]:
    """Fill ``*_grad``, which come as zeros; return the gradients of ``bias`` and ``mlp``."""
    dtype = _compute_dtype(q)
    table = bias.to(dtype).flatten(1)[:, None]
    table_grad = torch.zeros_like(table)
    folded = mlp and _folded(mlp, dtype)
    mlp_grad = mlp and MLP(*(torch.zeros_like(x) for x in folded))
    # Tiles share keys: their gradients add up, in float32.
    k_sum, v_sum = (x if x is None or x.dtype == dtype else x.to(dtype) for x in (k_grad, v_grad))
    for tile, chunk in _tiles_and_chunks(q, table, mask):
        query, key = tile.queries(q[chunk], scale), tile.keys(k[chunk])
        logits = tile.queries(affinity[chunk])
        logits_grad = None if affinity_grad is None else tile.queries(affinity_grad[chunk])
        out_grad = None if context_grad is None else tile.queries(context_grad[chunk])
        if mlp is not None:
            logits_grad = _mlp_backward(folded, mlp_grad, logits, out_grad)
        if out_grad is not None:
            value, weight = tile.keys(v[chunk]), _softmax(tile, logits, mask)
            tile.add(v_sum[chunk], tile.spread(weight).mT @ out_grad)
            soft_grad = tile.gather(out_grad @ value.mT)
            soft_grad = softmax_backward(soft_grad, weight, -1, dtype)
            logits_grad = soft_grad if logits_grad is None else soft_grad.add_(logits_grad)
        if mask:
            logits_grad = logits_grad.masked_fill(tile.outside, 0.0)
        table_grad += logits_grad.sum((0, 2))[:, None]
        dense = tile.spread(logits_grad)
        tile.put(q_grad[chunk], (dense @ key).mul_(scale))
        tile.add(k_sum[chunk], dense.mT @ query)
    for grad, total in (k_grad, k_sum), (v_grad, v_sum):
        if grad is not total:
            grad.copy_(total)
    bias_grad = table_grad.view_as(bias).to(bias.dtype)
    return bias_grad, mlp and _unfolded(mlp_grad, mlp)


def _folded(mlp: MLP, dtype: torch.dtype) -> MLP:
    """The same MLP around torch's fused SiLU: QuickGELU(x) = SiLU(1.702 x) / 1.702."""
    weight1, bias1, weight2, bias2 = (x.to(dtype) for x in mlp)
    return MLP(weight1 * QUICK, bias1 * QUICK, weight2 / QUICK, bias2)


def _unfolded(grad: MLP, mlp: MLP) -> MLP:
    factors = QUICK, QUICK, 1 / QUICK, 1
    return MLP(*((x * by).to(p.dtype) for x, by, p in zip(grad, factors, mlp, strict=True)))


def _mlp_backward(mlp: MLP, grad: MLP, x: Tensor, out_grad: Tensor) -> Tensor:
    """Recompute the hidden layer; add to ``grad``; return the gradient of ``x``."""
    rows, out_grad = x.flatten(0, -2), out_grad.flatten(0, -2)
    hidden = torch.addmm(mlp.bias1, rows, mlp.weight1.t())
    grad.weight2.addmm_(out_grad.t(), F.silu(hidden))
    grad.bias2.add_(out_grad.sum(0))
    hidden_grad = out_grad @ mlp.weight2
    torch.ops.aten.silu_backward(hidden_grad, hidden, grad_input=hidden_grad)
    grad.weight1.addmm_(hidden_grad.t(), rows)
    grad.bias1.add_(hidden_grad.sum(0))
    return (hidden_grad @ mlp.weight1).view_as(x)


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _softmax(tile: 'Tile', logits: Tensor, mask: bool) -> Tensor:
    return (logits.masked_fill(tile.outside, float('-inf')) if mask else logits).softmax(-1)


def _tiles_and_chunks(q: Tensor, table: Tensor, mask: bool) -> Iterator[tuple['Tile', tuple]]:
    """Yield each tile with each (video, slice of frame pairs)."""
    B, P, heads, H, W, _ = q.shape
    window = int(table.shape[-1] ** 0.5)
    on_cpu = q.device.type == 'cpu'
    grid = (_tiles_kept if on_cpu else tiles)(H, W, window, table.dtype, q.device)
    most = CHUNK if on_cpu else CHUNK_ON_GPU
    for tile in grid:
        step = max(1, most // (heads * tile.index.shape[0] * tile.num_keys))
        for b in range(B):
            for p in range(0, P, step):
                yield tile, (b, slice(p, p + step))


def tiles(H: int, W: int, window: int, dtype: torch.dtype, device: torch.device) -> list['Tile']:
    """The tiles of a frame, row by row."""
    inside = inside_frame(H, W, window, device)
    side = TILE if device.type == 'cpu' else TILE_ON_GPU
    rows, columns = max(1, round(H / side)), max(1, round(W / side))
    return [
        Tile(
            slice(H * y // rows, H * (y + 1) // rows),
            slice(W * x // columns, W * (x + 1) // columns),
            inside,
            window,
            dtype,
        )
        for y in range(rows)
        for x in range(columns)
    ]


# Not for GPUs: what a CUDA graph's capture allocates must not outlive it.
_tiles_kept = lru_cache(maxsize=32)(tiles)


class Tile:
    """A rectangle of queries, (n, heads, queries, d), and its keys, (n, heads, keys, d)."""

    def __init__(
        self, rows: slice, columns: slice, inside: Tensor, window: int, dtype: torch.dtype
    ) -> None:
        H, W = inside.shape[:2]
        r = window // 2
        self.dtype = dtype
        self.rows, self.columns = rows, columns
        self.key_rows = slice(max(0, rows.start - r), min(H, rows.stop + r))
        self.key_columns = slice(max(0, columns.start - r), min(W, columns.stop + r))
        height = self.key_rows.stop - self.key_rows.start
        width = self.key_columns.stop - self.key_columns.start
        self.num_keys = height * width + 1  # the last is 'outside'
        inside = inside[rows, columns].flatten(0, 1)
        self.outside = ~inside
        device = inside.device
        offset = torch.arange(-r, r + 1, device=device)
        y = torch.arange(rows.start, rows.stop, device=device)[:, None] - self.key_rows.start
        x = torch.arange(columns.start, columns.stop, device=device)[:, None]
        x = x - self.key_columns.start
        index = (y + offset)[:, None, :, None] * width + (x + offset)[None, :, None, :]
        index = index.flatten(2).flatten(0, 1)  # (queries, w*w)
        self.index = index.masked_fill(self.outside, height * width)

    def inverse(self) -> Tensor:
        """For each query, (queries, keys inside): the key's offset; w*w where it has none."""
        offsets = self.index.shape[1]
        inverse = self.index.new_full((len(self.index), self.num_keys), offsets)
        number = torch.arange(offsets, device=self.index.device).expand_as(self.index)
        return inverse.scatter(1, self.index, number)[:, :-1]

    def queries(self, x: Tensor, scale: float = 1.0) -> Tensor:
        x = x[:, :, self.rows, self.columns].flatten(2, 3).to(self.dtype)
        return (x * scale if scale != 1 else x).contiguous()

    def keys(self, x: Tensor) -> Tensor:
        x = x[:, :, self.key_rows, self.key_columns]
        keys = x.new_empty(*x.shape[:2], self.num_keys, x.shape[-1], dtype=self.dtype)
        keys[:, :, :-1].unflatten(2, x.shape[2:4]).copy_(x)
        keys[:, :, -1] = PAD_VALUE
        return keys

    def gather(self, x: Tensor) -> Tensor:
        """(n, heads, queries, keys) -> (n, heads, queries, w*w)."""
        return x.gather(-1, self.index.expand(*x.shape[:2], -1, -1))

    def spread(self, x: Tensor) -> Tensor:
        """The transpose of :meth:`.Tile.gather`."""
        out = x.new_zeros(*x.shape[:-1], self.num_keys)
        return out.scatter_add_(-1, self.index.expand_as(x), x)

    def put(self, out: Tensor, x: Tensor) -> None:
        out = out[:, :, self.rows, self.columns]
        out.copy_(x.unflatten(2, out.shape[2:4]))

    def add(self, out: Tensor, x: Tensor) -> None:
        """The transpose of ``keys``."""
        out = out[:, :, self.key_rows, self.key_columns]
        out.add_(x[:, :, :-1].unflatten(2, out.shape[2:4]))
