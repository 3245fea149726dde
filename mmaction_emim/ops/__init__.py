"""Local attention of one frame's queries to a window of the next frame's keys, and a convolution.

The affinity is computed once and serves twice: softmaxed it gathers context, raw it is a cost
volume, the similarity of a patch to each displacement of itself. Source: EMIM, arXiv 2510.18705.
"""

import torch
from torch import Tensor

from . import flops, registration  # noqa: F401  flops registers itself
from .backends import BACKENDS, PLAIN, at_least_float32, check_backend, choose_backend
from .correlation import SpatialCorrelationSampler, spatial_correlation_sample
from .depthwise import depthwise_conv3d
from .displacement import MotionField, motion_field
from .reference import MLP

__all__ = [
    'BACKENDS',
    'MLP',
    'MotionField',
    'OUT_OF_FRAME',
    'SpatialCorrelationSampler',
    'cost_volume',
    'depthwise_conv3d',
    'local_attention',
    'motion_attention',
    'motion_field',
    'spatial_correlation_sample',
]

OUT_OF_FRAME = ('pad', 'mask')


def cost_volume(
    q: Tensor,
    k: Tensor,
    bias: Tensor,
    window: int,
    *,
    out_of_frame: str = 'pad',
    backend: str = 'auto',
) -> Tensor:
    """Affinity of every query with the window of keys around its place in the next frame.

    ``affinity[n, h, y, x, (a, b)] = q[n, h, y, x] . k[n, h, y+a-r, x+b-r] + bias[h, a, b]``
    with ``r = window // 2`` and (a, b) flattened row-major, a vertical.

    Args:
        q: Queries of frame t, already scaled, (N, heads, H, W, d); N counts frame pairs.
        k: Keys of frame t+1, same shape, dtype and device.
        bias: Relative position bias, (heads, window, window).
        window: Side of the window; odd, 3 or more. It may be larger than the frame.
        out_of_frame: ``'pad'``: a key outside the frame is the constant 1e-6 in every channel
            (as released by the authors). ``'mask'``: its affinity is 0 and it takes no part in
            the softmax (ours).
        backend: ``'reference'`` (the definition, slow), ``'dense'`` (batched matrix products, any
            device), ``'tiled'`` (its products in plain operators, which exporters know; takes more
            memory), ``'triton'`` (fused kernels; NVIDIA GPUs of compute capability 8.0 or later,
            d up to 128, windows up to 11, not float64), or ``'auto'``: ``'triton'`` for tensors
            that it serves, else ``'dense'``.

    Returns:
        Affinity, (N, heads, H, W, window * window); float32 when the inputs are half precision.

    Raises:
        ValueError: A shape, the window, ``out_of_frame`` or ``backend`` is not as above, or
            ``'triton'`` does not serve these tensors or is not installed.
    """
    check_choices(out_of_frame, backend)
    _check_shapes(q, bias, window, k=k)
    backend = choose_backend(backend, q, window)
    if backend in PLAIN:
        with torch.autocast(q.device.type, enabled=False):
            return PLAIN[backend].cost_volume(*at_least_float32(q, k, bias), window, out_of_frame)
    mask = out_of_frame == 'mask'
    return registration.local_attention(q, k, None, bias, mask, backend)[1]


def local_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    window: int,
    *,
    out_of_frame: str = 'pad',
    backend: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """Context and affinity of :func:`cost_volume` in one pass; both carry gradients.

    Args:
        v: Values of frame t+1, shaped as ``k``. The others are :func:`cost_volume`'s.

    Returns:
        ``context``: softmax of the affinity over the window (in float32) times the values,
        (N, heads, H, W, d) in the dtype of ``v``; and ``affinity`` as :func:`cost_volume`'s.

    Raises:
        ValueError: As :func:`cost_volume`.
    """
    check_choices(out_of_frame, backend)
    _check_shapes(q, bias, window, k=k, v=v)
    backend = choose_backend(backend, q, window)
    if backend in PLAIN:
        with torch.autocast(q.device.type, enabled=False):
            context, affinity = PLAIN[backend].local_attention(
                *at_least_float32(q, k, v, bias), window, out_of_frame
            )
            return context.to(v.dtype), affinity
    mask = out_of_frame == 'mask'
    return registration.local_attention(q, k, v, bias, mask, backend)


def motion_attention(
    qkv: Tensor,
    bias: Tensor,
    window: int,
    mlp: MLP,
    *,
    scale: float = 1.0,
    out_of_frame: str = 'pad',
    backend: str = 'auto',
) -> Tensor:
    """Context plus motion of all pairs of consecutive frames, from packed q, k and v.

    For each pair (t, t+1), ``context + fc2(QuickGELU(fc1(affinity)))`` with both of
    :func:`local_attention`'s outputs. One pass over the tensor that a ``qkv`` layer gives, in its
    own layout; neither the MLP's hidden layer nor a copy of q, k or v is kept for the backward.

    Args:
        qkv: (B, T, H, W, 3, heads, d), T of 2 or more; the three are q, k and v.
        mlp: :class:`MLP`: weights (hidden, window * window) and (d, hidden), and their biases.
        scale: Factor of the queries. The other arguments are :func:`cost_volume`'s.

    Returns:
        (B, T-1, H, W, heads, d) in the dtype of ``qkv``. The MLP runs in that of the affinity;
        in ``'triton'``, its products take operands in that of ``qkv`` and add up in float32.

    Raises:
        ValueError: As :func:`cost_volume`.
    """
    check_choices(out_of_frame, backend)
    _check_packed(qkv, bias, window, mlp)
    backend = choose_backend(backend, qkv, window)
    if backend in PLAIN:
        with torch.autocast(qkv.device.type, enabled=False):
            qkv_, bias, *mlp = at_least_float32(qkv, bias, *mlp)
            compute = PLAIN[backend].motion_attention
            return compute(qkv_, bias, window, MLP(*mlp), scale, out_of_frame).to(qkv.dtype)
    keep = torch.is_grad_enabled() and registration.BACKENDS[backend].KEEPS_AFFINITY
    mask = out_of_frame == 'mask'
    return registration.motion_attention(qkv, bias, *mlp, scale, mask, keep, backend)[0]


def check_window(window: int, name: str = 'window') -> None:
    """Raise ValueError unless ``window`` is an odd int of 3 or more."""
    if not isinstance(window, int) or window < 3 or window % 2 == 0:
        raise ValueError(f'{name} must be an odd integer of 3 or more, got {window!r}')


def check_choices(out_of_frame: str, backend: str) -> None:
    """Raise ValueError unless both are among those that :func:`cost_volume` accepts."""
    if out_of_frame not in OUT_OF_FRAME:
        raise ValueError(f'out_of_frame: got {out_of_frame!r}; accepted are {OUT_OF_FRAME}')
    check_backend(backend)


def _check_shapes(q: Tensor, bias: Tensor, window: int, **others: Tensor) -> None:
    check_window(window)
    if q.dim() != 5:
        raise ValueError(f'q must be (N, heads, H, W, d), got shape {tuple(q.shape)}')
    for name, x in others.items():
        if x.shape != q.shape:
            raise ValueError(
                f'{name} must have the shape of q, {tuple(q.shape)}, got {tuple(x.shape)}'
            )
    _check_bias(bias, q.shape[1], window)


def _check_packed(qkv: Tensor, bias: Tensor, window: int, mlp: MLP) -> None:
    check_window(window)
    if qkv.dim() != 7 or qkv.shape[1] < 2 or qkv.shape[4] != 3:
        raise ValueError(
            'qkv must be (B, T, H, W, 3, heads, d) with T of 2 or more, '
            f'got shape {tuple(qkv.shape)}'
        )
    _check_bias(bias, qkv.shape[5], window)
    hidden, offsets, d = mlp[0].shape[0], window * window, qkv.shape[6]
    for name, x, shape in zip(
        MLP._fields, mlp, [(hidden, offsets), (hidden,), (d, hidden), (d,)], strict=True
    ):
        if x.shape != shape:
            raise ValueError(f'mlp: {name} must have shape {shape}, got {tuple(x.shape)}')


def _check_bias(bias: Tensor, heads: int, window: int) -> None:
    if bias.shape != (heads, window, window):
        raise ValueError(
            f'bias must be (heads, window, window) = {(heads, window, window)}, '
            f'got {tuple(bias.shape)}'
        )
