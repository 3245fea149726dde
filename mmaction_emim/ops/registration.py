"""The backends' forward and backward as operators that ``torch.compile`` and export can see.

Gradients are first order: a second derivative needs the ``'reference'`` backend. Autocast is off in
all four operators, since backends choose their dtypes themselves, also in a backward that runs
inside an autocast region.
"""

import torch
from torch import Tensor
from torch.library import custom_op

from . import dense, triton
from .reference import MLP

BACKENDS = {'dense': dense, 'triton': triton}


def _pairs(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T, H, W, 3, heads, d) -> three views (B, T-1, heads, H, W, d) of the frame pairs."""
    q, k, v = qkv.permute(4, 0, 1, 5, 2, 3, 6)
    return q[:, :-1], k[:, 1:], v[:, 1:]


def _one_video(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if x is None else x[None] for x in tensors]


def _new_affinity(q: Tensor, bias: Tensor, keep: bool = True) -> Tensor:
    shape = (*q.shape[:-1], bias[0].numel()) if keep else (0,)
    return q.new_empty(shape, dtype=torch.promote_types(q.dtype, torch.float32))


def _zeros_like(x: Tensor) -> Tensor:
    return torch.zeros(x.shape, dtype=x.dtype, device=x.device)  # dense, whatever the strides of x


@custom_op('mmaction_emim::local_attention', mutates_args=())
def local_attention(
    q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor, mask: bool, backend: str
) -> tuple[Tensor, Tensor]:
    """Context, empty where there is no ``v``, and affinity."""
    context, affinity = _local_attention_fake(q, k, v, bias, mask, backend)
    views = _one_video(q, k, v)
    outputs = _one_video(None if v is None else context, affinity)
    with torch.autocast(q.device.type, enabled=False):
        BACKENDS[backend].forward(*views, bias, None, 1.0, mask, *outputs)
    return context, affinity


@local_attention.register_fake
def _local_attention_fake(q, k, v, bias, mask, backend):
    context = (
        q.new_empty(0) if v is None else torch.empty_like(v, memory_format=torch.contiguous_format)
    )
    return context, _new_affinity(q, bias)


@custom_op('mmaction_emim::local_attention_backward', mutates_args=())
def _local_attention_backward(
    context_grad: Tensor | None,
    affinity_grad: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor | None,
    bias: Tensor,
    affinity: Tensor,
    mask: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    q_grad, k_grad, v_grad, _ = _local_attention_backward_fake(None, None, q, k, v, bias)
    views = _one_video(context_grad, affinity_grad, q, k, v)
    affinity, *grads = _one_video(affinity, q_grad, k_grad, None if v is None else v_grad)
    with torch.autocast(q.device.type, enabled=False):
        bias_grad, _ = BACKENDS[backend].backward(*views, bias, None, 1.0, mask, affinity, *grads)
    return q_grad, k_grad, v_grad, bias_grad


@_local_attention_backward.register_fake
def _local_attention_backward_fake(context_grad, affinity_grad, q, k, v, bias, *_):
    v_grad = q.new_empty(0) if v is None else _zeros_like(v)
    return _zeros_like(q), _zeros_like(k), v_grad, _zeros_like(bias)


def _save_local_attention(ctx, inputs, output):
    q, k, v, bias, ctx.mask, ctx.backend = inputs
    ctx.save_for_backward(q, k, v, bias, output[1])
    ctx.set_materialize_grads(False)


def _differentiate_local_attention(ctx, context_grad, affinity_grad):
    q, k, v, bias, affinity = ctx.saved_tensors
    if v is None:
        context_grad = None
    if context_grad is None and affinity_grad is None:
        return (None,) * 6
    q_grad, k_grad, v_grad, bias_grad = _local_attention_backward(
        context_grad, affinity_grad, q, k, v, bias, affinity, ctx.mask, ctx.backend
    )
    return q_grad, k_grad, None if v is None else v_grad, bias_grad, None, None


local_attention.register_autograd(
    _differentiate_local_attention, setup_context=_save_local_attention
)


@custom_op('mmaction_emim::motion_attention', mutates_args=())
def motion_attention(
    qkv: Tensor,
    bias: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    scale: float,
    mask: bool,
    keep: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Context plus motion, (B, T-1, H, W, heads, d), and affinity, empty unless ``keep``."""
    mlp = (weight1, bias1, weight2, bias2)
    out, affinity = _motion_attention_fake(qkv, bias, *mlp, scale, mask, keep, backend)
    out_view = out.permute(0, 1, 4, 2, 3, 5)
    with torch.autocast(qkv.device.type, enabled=False):
        BACKENDS[backend].forward(
            *_pairs(qkv), bias, MLP(*mlp), scale, mask, out_view, affinity if keep else None
        )
    return out, affinity


@motion_attention.register_fake
def _motion_attention_fake(qkv, bias, weight1, bias1, weight2, bias2, scale, mask, keep, backend):
    B, T, H, W, _, heads, d = qkv.shape
    return qkv.new_empty(B, T - 1, H, W, heads, d), _new_affinity(_pairs(qkv)[0], bias, keep)


@custom_op('mmaction_emim::motion_attention_backward', mutates_args=())
def _motion_attention_backward(
    out_grad: Tensor,
    qkv: Tensor,
    bias: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    affinity: Tensor,
    scale: float,
    mask: bool,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    mlp = MLP(weight1, bias1, weight2, bias2)
    if backend == 'dense':
        qkv_grad = _zeros_like(qkv)  # it adds to them
    else:
        qkv_grad = torch.empty(qkv.shape, dtype=qkv.dtype, device=qkv.device)
        qkv_grad[:, -1, :, :, 0] = 0  # q of the last frame and k and v of the first are not used
        qkv_grad[:, 0, :, :, 1:] = 0
    with torch.autocast(qkv.device.type, enabled=False):
        bias_grad, mlp_grad = BACKENDS[backend].backward(
            out_grad.permute(0, 1, 4, 2, 3, 5),
            None,
            *_pairs(qkv),
            bias,
            mlp,
            scale,
            mask,
            affinity,
            *_pairs(qkv_grad),
        )
    return qkv_grad, bias_grad, *mlp_grad


@_motion_attention_backward.register_fake
def _motion_attention_backward_fake(out_grad, *inputs):
    return tuple(_zeros_like(x) for x in inputs[:6])


def _save_motion_attention(ctx, inputs, output):
    *tensors, ctx.scale, ctx.mask, _, ctx.backend = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.set_materialize_grads(False)


def _differentiate_motion_attention(ctx, out_grad, _):
    if out_grad is None:
        return (None,) * 10
    grads = _motion_attention_backward(
        out_grad, *ctx.saved_tensors, ctx.scale, ctx.mask, ctx.backend
    )
    return *grads, None, None, None, None


motion_attention.register_autograd(
    _differentiate_motion_attention, setup_context=_save_motion_attention
)
