"""Local next-frame attention in Triton: one kernel forward, three backward, no copy of q, k or v.

Same function as :mod:`.reference`. The affinity goes from the products through the softmax and the
motion MLP without leaving the chip unless it is asked for. Products run on tensor cores in the
dtype of q and add up in float32; so does everything else. The gradient starts from the inputs
alone. Triton is imported on first use: it may not be there.

Views are (B, P, heads, H, W, d): videos, frame pairs, heads, height, width, channels of a head.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from .reference import MLP

KEEPS_AFFINITY = False
INSTALLED = find_spec('triton') is not None
try:  # once and here, since torch.compile cannot look into importlib
    VERSION = version('triton')
except PackageNotFoundError:  # also of a build of another name
    VERSION = ''
MIN_VERSION = 3, 5  # 3.2 lacks tl.gather; 3.3 and 3.4 do not run the kernels in the interpreter
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
MAX_CHANNELS, MAX_WINDOW = 128, 11
SHARES = 64  # of the rows, each summing its part of the MLP's gradients


def refusal(device: torch.device, dtype: torch.dtype, d: int, window: int) -> str | None:
    """Why the kernels do not serve such tensors, or None where they do."""
    if not INSTALLED:
        return 'needs the package triton, which is not installed'
    if VERSION and tuple(int(part) for part in VERSION.split('.')[:2]) < MIN_VERSION:
        return f'needs Triton 3.5 or later, which torch 2.9 or later brings, got {VERSION}'
    if dtype not in DTYPES:
        return f'takes float16, bfloat16 and float32, got {dtype}'
    if d > MAX_CHANNELS or window > MAX_WINDOW:
        return (
            f'takes heads of up to {MAX_CHANNELS} channels and windows up to {MAX_WINDOW}, '
            f'got {d} and {window}'
        )
    if device.type == 'cpu' and os.environ.get('TRITON_INTERPRET') == '1':
        return None
    if device.type != 'cuda' or torch.version.hip:
        return (
            f'runs on NVIDIA GPUs, got tensors on {device} '
            '(for its interpreter, set TRITON_INTERPRET=1 before Triton is imported)'
        )
    if torch.cuda.get_device_properties(device).major < 8:
        return 'needs a GPU of compute capability 8.0 or later'
    return None


def _kernels() -> ModuleType:
    from . import triton_kernels

    return triton_kernels


class _Launch(NamedTuple):
    """What the kernels of one call have in common.

    Blocks are of the sizes that take the fewest instructions on Hopper, by the compiled code,
    without spilling registers in half precision or more shared memory than any GPU has.
    """

    grid: tuple[int]
    sizes: tuple[int, ...]  # P, heads, H, W
    tile: dict[str, int]
    options: dict[str, object]
    mlp: dict[str, int]
    pitch: int  # of a row of offsets in temporaries: whole vectors of 16 bytes

    @classmethod
    def of(cls, q: Tensor, window: int) -> '_Launch':
        B, P, heads, H, W, d = q.shape
        channels, offsets = _power_of_2(d), _power_of_2(window * window)
        half = q.element_size() == 2
        small = half and channels <= 64 and offsets <= 64
        rows = 64 if half else 32
        tile_h = _even(H, rows // 8)
        tile_w = _even(W, rows // tile_h)
        tiles = _ceil_div(H, tile_h) * _ceil_div(W, tile_w)
        options = dict(
            d=d,
            D=channels,
            WINDOW=window,
            ROWS=rows,
            PRECISION=_precision(q),
            num_warps=4 if small and _on_hopper(q) else 8,
            num_stages=2 if half else 1,
        )
        return cls(
            grid=(B * P * heads * tiles,),
            sizes=(P, heads, H, W),
            tile=dict(TILE_H=tile_h, TILE_W=tile_w, KEYS=64 if small else 32),
            options=options,
            mlp=dict(OFFSETS=offsets, HIDDEN=64 if small else 32 if half else 16),
            pitch=_ceil_div(window * window, 8) * 8,
        )


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _power_of_2(least: int) -> int:
    return max(16, 1 << (least - 1).bit_length())  # products need 16


def _even(length: int, most: int) -> int:
    """Side of the fewest equal tiles of at most ``most`` that cover ``length``."""
    return _ceil_div(length, _ceil_div(length, most))


def _precision(q: Tensor) -> str:
    """How float32 is multiplied; half precision knows one way."""
    if q.device.type == 'cpu':
        return 'ieee'
    matmul = torch.backends.cuda.matmul
    # torch 2.9 renamed the setting and refuses to tell the old one once the new one was set.
    new = getattr(matmul, 'fp32_precision', None)
    tf32 = matmul.allow_tf32 if new is None else new == 'tf32'
    # 'tf32x3': three products of split operands on tensor cores, about as exact as float32.
    return 'tf32' if tf32 else 'tf32x3'


def _on_hopper(q: Tensor) -> bool:
    """There four warps multiply 64 rows together, out of shared memory."""
    return q.device.type == 'cpu' or torch.cuda.get_device_properties(q.device).major == 9


def _strided(*tensors: Tensor | None) -> list:
    return [x for t in tensors for x in ((None, None) if t is None else (t, t.stride()))]


def _packed(mlp: MLP, dtype: torch.dtype, launch: _Launch) -> MLP:
    """(hidden, offsets) and (hidden, channels), filled up with zeros to whole blocks."""
    hidden, offsets = mlp.weight1.shape
    units = _ceil_div(hidden, launch.mlp['HIDDEN']) * launch.mlp['HIDDEN']
    weight1 = mlp.weight1.new_zeros(units, launch.mlp['OFFSETS'], dtype=dtype)
    weight1[:hidden, :offsets] = mlp.weight1
    weight2 = mlp.weight2.new_zeros(units, launch.options['D'], dtype=dtype)
    weight2[:hidden, : mlp.weight2.shape[0]] = mlp.weight2.t()
    return MLP(weight1, mlp.bias1.contiguous(), weight2, mlp.bias2.contiguous())


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
    launch = _Launch.of(q, bias.shape[-1])
    with torch.cuda.device_of(q):
        _kernels().forward[launch.grid](
            *_strided(q, k, v),
            bias.contiguous(),
            *(_packed(mlp, q.dtype, launch) if mlp else (None,) * 4),
            *_strided(context),
            affinity,
            scale,
            *launch.sizes,
            mlp.weight1.shape[0] if mlp else 0,
            MASK=mask,
            **launch.mlp,
            **launch.tile,
            **launch.options,
        )


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
    """Fill ``*_grad``; return the gradients of ``bias`` and ``mlp``. Does not read ``affinity``."""
    B, P, heads, H, W, _ = q.shape
    window = bias.shape[-1]
    launch = _Launch.of(q, window)
    tiles = launch.grid[0] // (B * P * heads)
    with torch.cuda.device_of(q):
        packed = _packed(mlp, q.dtype, launch) if mlp else None
        hidden = mlp.weight1.shape[0] if mlp else 0
        per_query = (B * P * heads * H * W, launch.pitch)
        bias_grad = q.new_empty(B * P, heads, tiles, window, window, dtype=torch.float32)
        logits_grad = q.new_empty(per_query)
        weight = q.new_empty(per_query) if context_grad is not None else None
        logits = q.new_empty(per_query) if mlp else None
        _kernels().queries_backward[launch.grid](
            *_strided(context_grad, affinity_grad, q, k, v),
            bias.contiguous(),
            *(packed[:3] if mlp else (None,) * 3),
            *_strided(q_grad),
            bias_grad,
            logits,
            weight,
            logits_grad,
            scale,
            *launch.sizes,
            hidden,
            PITCH=launch.pitch,
            MASK=mask,
            **launch.mlp,
            **launch.tile,
            **launch.options,
        )
        _kernels().keys_backward[launch.grid](
            *_strided(q, context_grad),
            logits_grad,
            weight,
            *_strided(k_grad, v_grad),
            scale,
            *launch.sizes,
            PITCH=launch.pitch,
            **launch.tile,
            **launch.options,
        )
        mlp_grad = mlp and _mlp_backward(context_grad, logits, mlp, packed, launch)
        return bias_grad.sum((0, 2)).to(bias.dtype), mlp_grad


def _mlp_backward(out_grad: Tensor, logits: Tensor, mlp: MLP, packed: MLP, launch: _Launch) -> MLP:
    rows, hidden, d = logits.shape[0], mlp.weight1.shape[0], out_grad.shape[-1]
    share = _ceil_div(_ceil_div(rows, SHARES), 64) * 64
    shares = _ceil_div(rows, share)
    grads = [
        logits.new_empty(shape, dtype=torch.float32)
        for shape in (
            (shares, *mlp.weight1.shape),
            (shares, hidden),
            (shares, hidden, d),
            (shares, d),
        )
    ]
    _kernels().mlp_backward[(shares, _ceil_div(hidden, launch.mlp['HIDDEN']))](
        *_strided(out_grad),
        logits,
        *packed[:3],
        *grads,
        rows,
        share,
        *launch.sizes,
        hidden,
        PITCH=launch.pitch,
        **launch.mlp,
        **launch.options,
    )
    weight1, bias1, weight2, bias2 = (x.sum(0) for x in grads)
    grads = MLP(weight1, bias1, weight2.t(), bias2)
    return MLP(*(x.to(p.dtype).contiguous() for x, p in zip(grads, mlp, strict=True)))
