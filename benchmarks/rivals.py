"""What the operator and the layer are measured against: each is a function that makes a ``Run``.

Rivals that do other work than ours have a line in ``UNEQUAL``, which goes under the tables.
"""

import importlib
from collections.abc import Callable
from typing import NamedTuple

import measure
import torch
import torch.nn.functional as F
from torch import Tensor
from uniformer import GlobalAttention

from mmaction_emim import ops
from mmaction_emim.models.motion import EMIMAttention

OURS = 'ours'
OFFSETS = 'offset by offset'
UNFOLD = 'unfold + einsum'
SDPA = 'SDPA, all tokens'
UPSTREAM = "MMAction2's Attention"
NATTEN = 'natten na2d'
FLEX = 'flex_attention'
AUTHORS = 'localAttention CUDA'

UNEQUAL = {
    SDPA: 'another function: every token sees all frames; no affinity',
    UPSTREAM: 'another function: every token sees all frames; no affinity',
    OFFSETS: 'the definition; in float32, whatever the inputs are',
    NATTEN: 'less work: windows within a frame, no affinity, no bias',
    FLEX: 'less work: no affinity and no gradient of the bias; no mass outside the frame',
    AUTHORS: 'float32 alone; no bias',
}


class Shape(NamedTuple):
    B: int
    T: int
    heads: int
    H: int
    W: int
    d: int = 64
    window: int = 7

    def __str__(self) -> str:
        return f'B {self.B}, T {self.T}, {self.heads} heads, {self.H}x{self.W}, w {self.window}'


class Run:
    """``forward()`` gives outputs; gradients flow back from all of them to ``inputs`` and
    ``parameters``, which are no activations.
    """

    def __init__(
        self,
        forward: Callable[[], tuple[Tensor, ...]],
        inputs: list[Tensor],
        parameters: list[Tensor] = (),
    ) -> None:
        self.forward, self.inputs, self.parameters = forward, inputs, list(parameters)
        self.grads = None

    def inference(self) -> None:
        with torch.no_grad():
            self.forward()

    def training(self) -> None:
        outputs = self.forward()
        if self.grads is None:
            self.grads = [torch.randn_like(x) for x in outputs]
        torch.autograd.grad(outputs, [*self.inputs, *self.parameters], self.grads)


# The operator: q, k, v of frame pairs -> context (and affinity).


def _pairs(s: Shape, device: str, dtype: torch.dtype) -> list[Tensor]:
    shape = (s.B * (s.T - 1), s.heads, s.H, s.W, s.d)
    return [torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3)]


def _bias(s: Shape, device: str) -> Tensor:
    return torch.randn(s.heads, s.window, s.window, device=device).mul_(0.02).requires_grad_()


def ours(s: Shape, device: str, dtype: torch.dtype, backend: str = 'auto') -> Run:
    q, k, v = _pairs(s, device, dtype)
    bias = _bias(s, device)
    return Run(
        lambda: ops.local_attention(q, k, v, bias, s.window, backend=backend), [q, k, v], [bias]
    )


def offset_by_offset(s: Shape, device: str, dtype: torch.dtype) -> Run:
    return ours(s, device, dtype, 'reference')


def unfold_einsum(s: Shape, device: str, dtype: torch.dtype) -> Run:
    q, k, v = _pairs(s, device, dtype)
    bias = _bias(s, device)
    r = s.window // 2

    def windows(x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, r, r, r, r), value=1e-6)
        return x.unfold(2, s.window, 1).unfold(3, s.window, 1).flatten(-2)

    def forward() -> tuple[Tensor, Tensor]:
        affinity = torch.einsum('nhyxd,nhyxdo->nhyxo', q, windows(k)).float()
        affinity = affinity + bias.flatten(1)[:, None, None]
        weight = affinity.softmax(-1).to(v.dtype)
        return torch.einsum('nhyxo,nhyxdo->nhyxd', weight, windows(v)), affinity

    return Run(forward, [q, k, v], [bias])


def sdpa_all_tokens(s: Shape, device: str, dtype: torch.dtype) -> Run:
    shape = (s.B, s.heads, s.T * s.H * s.W, s.d)
    q, k, v = (torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3))
    return Run(lambda: (F.scaled_dot_product_attention(q, k, v),), [q, k, v])


def natten(s: Shape, device: str, dtype: torch.dtype) -> Run:
    """Neighbourhood attention within a frame."""
    na2d = importlib.import_module('natten').na2d
    shape = (s.B * (s.T - 1), s.H, s.W, s.heads, s.d)
    q, k, v = (torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3))
    return Run(lambda: (na2d(q, k, v, kernel_size=s.window),), [q, k, v])


def flex_attention(s: Shape, device: str, dtype: torch.dtype) -> Run:
    """Pairs of a frame in blocks, the window as a mask."""
    from torch.nn.attention import flex_attention as flex

    q, k, v = (x.detach().flatten(2, 3).requires_grad_() for x in _pairs(s, device, dtype))
    bias, r, W = _bias(s, device).detach(), s.window // 2, s.W

    def near(b, h, i, j):
        return ((i // W - j // W).abs() <= r) & ((i % W - j % W).abs() <= r)

    def score(x, b, h, i, j):
        dy, dx = j // W - i // W + r, j % W - i % W + r
        return x + bias[h, dy.clamp(0, 2 * r), dx.clamp(0, 2 * r)]

    block_mask = flex.create_block_mask(near, None, None, s.H * W, s.H * W, device=device)
    compiled = torch.compile(flex.flex_attention)
    return Run(
        lambda: (compiled(q, k, v, score_mod=score, block_mask=block_mask, scale=1.0),), [q, k, v]
    )


def local_attention_extension(s: Shape, device: str, dtype: torch.dtype) -> Run:
    """The CUDA kernels of the ``localAttention`` extension, if it was built and can be imported."""
    kernels = importlib.import_module('localAttention')

    class Similar(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k):
            ctx.save_for_backward(q, k)
            return kernels.similar_forward(q, k, s.window, s.window)

        @staticmethod
        def backward(ctx, grad):
            q, k = ctx.saved_tensors
            grad = grad.contiguous()
            return (
                kernels.similar_backward(k, grad, s.window, s.window, True),
                kernels.similar_backward(q, grad, s.window, s.window, False),
            )

    class Weighting(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v, weight):
            ctx.save_for_backward(v, weight)
            return kernels.weighting_forward(v, weight, s.window, s.window)

        @staticmethod
        def backward(ctx, grad):
            v, weight = ctx.saved_tensors
            grad = grad.contiguous()
            return (
                kernels.weighting_backward_ori(weight, grad, s.window, s.window),
                kernels.weighting_backward_weight(v, grad, s.window, s.window),
            )

    shape = (s.B * (s.T - 1) * s.heads, s.d, s.H, s.W)
    q, k, v = (torch.randn(shape, device=device).requires_grad_() for _ in range(3))

    def forward() -> tuple[Tensor, Tensor]:
        affinity = Similar.apply(q, k)
        return Weighting.apply(v, affinity.softmax(-1)), affinity

    return Run(forward, [q, k, v])


OPERATOR = {
    OURS: ours,
    OFFSETS: offset_by_offset,
    UNFOLD: unfold_einsum,
    SDPA: sdpa_all_tokens,
}
ON_GPU = {
    NATTEN: natten,
    FLEX: flex_attention,
    AUTHORS: local_attention_extension,
}


# The layer: tokens -> tokens, with qkv and proj.


def layer(s: Shape, device: str, dtype: torch.dtype, kind: str) -> Run:
    C = s.heads * s.d
    x = torch.randn(s.B, s.T, s.H, s.W, C, device=device, dtype=dtype, requires_grad=True)
    if kind == 'sdpa':
        module = GlobalAttention(C, s.heads)
    elif kind == 'mmaction2':
        from mmaction.models.backbones.uniformer import Attention

        module = Attention(C, s.heads)
        x = x.detach().flatten(1, 3).requires_grad_()
    else:
        module = EMIMAttention(C, s.heads, s.window, backend=kind)
    module.to(device, dtype)
    return Run(lambda: (module(x),), [x], module.parameters())


LAYER = {
    OURS: lambda *a: layer(*a, 'auto'),
    OFFSETS: lambda *a: layer(*a, 'reference'),
    SDPA: lambda *a: layer(*a, 'sdpa'),
    UPSTREAM: lambda *a: layer(*a, 'mmaction2'),
}


def needs(name: str, s: Shape, size: int) -> float:
    """Bytes, about, of a rival's largest temporaries in training."""
    if name == UNFOLD:
        return 4 * s.B * (s.T - 1) * s.heads * s.H * s.W * s.window**2 * s.d * size
    if name == UPSTREAM:
        return 4 * s.B * s.heads * (s.T * s.H * s.W) ** 2 * size
    return 0


def build(
    rivals: dict[str, Callable[..., Run]],
    s: Shape,
    device: str,
    dtype: torch.dtype,
    limit_gb: float,
) -> tuple[dict[str, Run], list[str]]:
    """The rivals that run, each tried once forward and backward, and why the others do not."""
    runs, excluded = {}, []
    for name, make in rivals.items():
        size = needs(name, s, dtype.itemsize)
        if size > limit_gb * 1e9:
            excluded.append(f'{name}: excluded, it needs about {size / 1e9:.2g} GB')
            continue
        try:
            run = make(s, device, dtype)
            run.inference()
            run.training()
        except Exception as error:  # whatever keeps a rival from running is reported
            if name == OURS:
                raise
            excluded.append(measure.excluded(name, error))
        else:
            runs[name] = run
    return runs, excluded
