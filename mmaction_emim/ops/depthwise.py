"""Depthwise 3-D convolution whose backward costs a CPU a few times its forward, not tens of times.

oneDNN, which torch calls, has no fast code for depthwise gradients in three dimensions. It has some
for the weights' gradient in two, and the input's is a forward with the kernel turned round.
"""

import platform

import torch
import torch.nn.functional as F
from torch import Tensor

from mmaction_emim.compat import onednn_takes_bfloat16

Sizes = tuple[int, int, int]

_is_exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)  # torch 2.7

ON_X86 = platform.machine() in ('x86_64', 'AMD64') and torch.backends.mkldnn.is_available()
HAS_BFLOAT16 = ON_X86 and onednn_takes_bfloat16()
# Below so many numbers the calls cost more than the work; torch is then as fast or faster.
LEAST = 1 << 15
# oneDNN's code is fast for the gradients of kernels up to so wide; their height does not matter.
MAX_WIDTH = 3


def depthwise_conv3d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: Sizes = (0, 0, 0)
) -> Tensor:
    """``F.conv3d`` with one kernel a channel and stride 1; its backward is faster on x86-64 CPUs.

    Where torch's backward is as fast, it is used: on other devices, for small inputs, for kernels
    that are a line or a point, and for dtypes other than float32 and bfloat16. So it is in traced
    and exported models and for second derivatives. In bfloat16 ours serves every size: where a
    kernel is longer than the clip, torch's reads memory that nobody wrote (channels last).

    Args:
        x: (N, C, T, H, W), in any memory format.
        weight: (C, 1, kT, kH, kW).
        bias: (C,), or None (default).
        padding: Zeros on either side along T, H and W. Defaults to none.

    Returns:
        (N, C, T + 2 * padding[0] - kT + 1, ...), in autocast's dtype inside autocast.
    """
    if not _ours(x, weight, bias, padding):
        return F.conv3d(x, weight, bias, padding=padding, groups=weight.shape[0])
    if torch.is_autocast_enabled('cpu'):
        dtype = _compute_dtype(x)
        x, weight, bias = (None if t is None else t.to(dtype) for t in (x, weight, bias))
    return DepthwiseConv3d.apply(x, weight, bias, padding)


def _compute_dtype(x: Tensor) -> torch.dtype:
    if x.dtype != torch.float64 and torch.is_autocast_enabled('cpu'):
        return torch.get_autocast_dtype('cpu')
    return x.dtype


def _ours(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sizes) -> bool:
    if torch.jit.is_tracing() or _is_exporting() or not torch.is_grad_enabled():
        return False
    if not ON_X86 or x.device.type != 'cpu' or x.dim() != 5:
        return False
    dtype, kernel = _compute_dtype(x), weight.shape[2:]
    faster = min(kernel[1:]) > 1 and x.numel() >= LEAST
    return (
        (dtype == torch.float32 and faster or dtype == torch.bfloat16 and HAS_BFLOAT16)
        and all(0 <= p < k for p, k in zip(padding, kernel, strict=True))
        and any(t is not None and t.requires_grad for t in (x, weight, bias))
    )


class DepthwiseConv3d(torch.autograd.Function):
    """The same with our backward, whatever the dtype and size."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sizes) -> Tensor:
        return F.conv3d(x, weight, bias, padding=padding, groups=weight.shape[0])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, weight, _, ctx.padding = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        with torch.autocast('cpu', enabled=False):
            if torch.is_grad_enabled():  # the gradient will be differentiated in its turn
                return *_torchs_gradients(grad, x, weight, ctx.padding, needed), None
            return (
                _input_gradient(grad, weight, ctx.padding) if needed[0] else None,
                _weight_gradient(x, grad, weight, ctx.padding) if needed[1] else None,
                grad.sum((0, 2, 3, 4)) if needed[2] else None,
                None,
            )


def _torchs_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, padding: tuple[int, ...], needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    ones, zeros, C = [1] * len(padding), [0] * len(padding), weight.shape[0]
    return torch.ops.aten.convolution_backward(
        grad, x, weight, [C], ones, padding, ones, False, zeros, C, needed
    )


def _input_gradient(grad: Tensor, weight: Tensor, padding: Sizes) -> Tensor:
    rest = [k - 1 - p for k, p in zip(weight.shape[2:], padding, strict=True)]
    return F.conv3d(grad, weight.flip(2, 3, 4), padding=rest, groups=weight.shape[0])


def _weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, padding: Sizes) -> Tensor:
    """In two dimensions: for each tap along T, for each MAX_WIDTH columns of the kernel.

    ``x`` becomes one row of places, (places, C), frame after frame, with zeros between clips, and
    between lines where the kernel takes several pieces. What a piece sees of ``x`` is then a view
    of that row, shifted by the piece's distance, and not a copy. ``grad`` is laid out likewise.
    """
    N, C, T, H, W = x.shape
    out_T, out_H, out_W = grad.shape[2:]
    kT, _, kW = weight.shape[2:]
    pT, pH, pW = padding
    width = min(kW, MAX_WIDTH)
    columns = [*range(0, kW - width, width), kW - width]
    lead, pad, line, out_line = 0, pW, W, out_W
    if len(columns) > 1:
        # One place of zeros in front: the pieces' own padding hides what lies beside a line's ends.
        lead = pad = 1
        line = out_line = max(W + max(pW, 1), out_W + 2)
    clip = T + pT  # frames of it and the zeros that follow
    frames = (N - 1) * clip + out_T

    x_row = x.new_zeros(1 + pT + N * clip + 1, H, line, C)
    inside = x_row[1 + pT : -1].unflatten(0, (N, clip))
    inside[:, :T, :, lead : lead + W] = x.permute(0, 2, 3, 4, 1)
    x_row = x_row.view(-1, C)
    grad_row = grad.new_zeros(N, max(clip, out_T), out_H, out_line, C)
    grad_row[:, :out_T, :, lead : lead + out_W] = grad.permute(0, 2, 3, 4, 1)
    grad_row = grad_row.flatten(0, 1)[:frames]

    total = torch.empty_like(weight)
    for t in range(kT):
        for column in columns:
            first = (1 + t) * H * line + column - pW + pad
            seen = x_row[first : first + frames * H * line].view(frames, H, line, C)
            taps = (..., t, slice(None), slice(column, column + width))
            total[taps] = _torchs_gradients(
                grad_row.permute(0, 3, 1, 2),
                seen.permute(0, 3, 1, 2),
                weight[taps],
                (pH, pad),
                (False, True, False),
            )[1]
    return total
