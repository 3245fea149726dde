"""Next-frame local attention against its rivals: time, memory, growth.

    python benchmarks/ops.py                    # CPU, 2 threads
    python benchmarks/ops.py --device cuda      # one GPU, bfloat16; needs no other change
    python benchmarks/ops.py --growth           # how time grows with T, H * W and window

Every shape's rivals run in the same rounds. Ratios are rival / ours: above 1, ours is faster.
"""

import argparse
import importlib
import math
from collections.abc import Callable
from itertools import product
from statistics import median
from typing import NamedTuple

import measure
import torch
import torch.nn.functional as F
from torch import Tensor

from mmaction_emim import ops
from mmaction_emim.models.motion import EMIMAttention

OURS = 'ours'


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


SHAPES = {
    'stage3': Shape(1, 16, 5, 14, 14),
    'stage4': Shape(1, 16, 8, 7, 7),
    'stage3-T32': Shape(1, 32, 5, 14, 14),
    'stage4-T32': Shape(1, 32, 8, 7, 7),
    'stage3-B8': Shape(8, 16, 5, 14, 14),
    'stage4-B8': Shape(8, 16, 8, 7, 7),
    'grid28': Shape(1, 8, 5, 28, 28),
    'grid56': Shape(1, 4, 2, 56, 56),
}


class Run(NamedTuple):
    """``forward()`` gives outputs; ``inputs`` get gradients when ``outputs_grad`` flows back."""

    forward: Callable[[], tuple[Tensor, ...]]
    inputs: list[Tensor]

    def inference(self) -> None:
        with torch.no_grad():
            self.forward()

    def training(self) -> None:
        outputs = self.forward()
        if not hasattr(self.forward, 'grads'):
            self.forward.grads = [torch.randn_like(x) for x in outputs]
        torch.autograd.grad(outputs, self.inputs, self.forward.grads)


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
        lambda: ops.local_attention(q, k, v, bias, s.window, backend=backend), [q, k, v, bias]
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

    return Run(forward, [q, k, v, bias])


def sdpa_all_tokens(s: Shape, device: str, dtype: torch.dtype) -> Run:
    shape = (s.B, s.heads, s.T * s.H * s.W, s.d)
    q, k, v = (torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3))
    return Run(lambda: (F.scaled_dot_product_attention(q, k, v),), [q, k, v])


def natten(s: Shape, device: str, dtype: torch.dtype) -> Run:
    """Neighbourhood attention within a frame: as much work, but no affinity and no bias."""
    na2d = importlib.import_module('natten').na2d
    shape = (s.B * (s.T - 1), s.H, s.W, s.heads, s.d)
    q, k, v = (torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(3))
    return Run(lambda: (na2d(q, k, v, kernel_size=s.window),), [q, k, v])


def flex_attention(s: Shape, device: str, dtype: torch.dtype) -> Run:
    """Context alone, all pairs of a frame in blocks, the window as a mask."""
    from torch.nn.attention import flex_attention as flex

    q, k, v = (x.detach().flatten(2, 3).requires_grad_() for x in _pairs(s, device, dtype))
    bias, r, W = _bias(s, device), s.window // 2, s.W

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
    """CUDA kernels of the ``localAttention`` extension, float32, if built beside."""
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
    'offset by offset': offset_by_offset,
    'unfold + einsum': unfold_einsum,
    'SDPA, all tokens': sdpa_all_tokens,
}
ON_GPU = {
    'natten na2d': natten,
    'flex_attention': flex_attention,
    'localAttention CUDA': local_attention_extension,
}


# The layer: tokens -> tokens, with qkv and proj.


class _GlobalAttention(torch.nn.Module):
    """MMAction2's attention, its product of all pairs replaced by SDPA."""

    def __init__(self, upstream: torch.nn.Module) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = upstream.num_heads, upstream.qkv, upstream.proj

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def layer(s: Shape, device: str, dtype: torch.dtype, kind: str) -> Run:
    from mmaction.models.backbones.uniformer import Attention

    C = s.heads * s.d
    x = torch.randn(s.B, s.T, s.H, s.W, C, device=device, dtype=dtype, requires_grad=True)
    if kind in ('auto', 'reference'):
        module = EMIMAttention(C, s.heads, s.window, backend=kind).to(device, dtype)
        tokens = x
    else:
        module = Attention(C, s.heads).to(device, dtype)
        module = _GlobalAttention(module) if kind == 'sdpa' else module
        tokens = x.detach().flatten(1, 3).requires_grad_()
    return Run(lambda: (module(tokens),), [tokens, *module.parameters()])


LAYER = {
    OURS: lambda *a: layer(*a, 'auto'),
    'offset by offset': lambda *a: layer(*a, 'reference'),
    'SDPA, all tokens': lambda *a: layer(*a, 'sdpa'),
    "MMAction2's Attention": lambda *a: layer(*a, 'mmaction2'),
}


def needs(name: str, s: Shape, size: int) -> float:
    """Bytes, about, of a rival's largest temporaries in training."""
    if name == 'unfold + einsum':
        return 4 * s.B * (s.T - 1) * s.heads * s.H * s.W * s.window**2 * s.d * size
    if name == "MMAction2's Attention":
        return 4 * s.B * s.heads * (s.T * s.H * s.W) ** 2 * size
    return 0


def build(rivals: dict, s: Shape, args: argparse.Namespace) -> tuple[dict[str, Run], list[str]]:
    runs, notes = {}, []
    for name, make in rivals.items():
        size = needs(name, s, args.dtype.itemsize)
        if size > args.limit_gb * 1e9:
            notes.append(f'{name}: not run, it needs about {size / 1e9:.0f} GB')
            continue
        try:
            runs[name] = make(s, args.device, args.dtype)
        except ImportError as error:
            notes.append(f'{name}: not run, {error}')
    return runs, notes


def work(s: Shape, size: int) -> tuple[float, float]:
    """FLOPs and bytes that forward + backward of the operator cannot do without."""
    pairs = s.B * (s.T - 1) * s.heads * s.H * s.W
    inside = (_inside(s.H, s.window) * _inside(s.W, s.window)) / (s.H * s.W)
    # 2 products forward, 4 backward; q, k, v and two gradients in, context and 3 gradients out
    return 6 * 2 * pairs * inside * s.d, pairs * (11 * s.d * size + 2 * 4 * s.window**2)


def _inside(length: int, window: int) -> int:
    """Keys that the windows of one line of queries hold inside the frame, in all."""
    r = window // 2
    return sum(min(length, i + r + 1) - max(0, i - r) for i in range(length))


def compare(title: str, rivals: dict, s: Shape, args: argparse.Namespace, ceilings) -> dict:
    runs, notes = build(rivals, s, args)
    times = {
        'forward': measure.measure(
            {n: r.inference for n, r in runs.items()}, args.rounds, args.device, args.seconds
        ),
        'training': measure.measure(
            {n: r.training for n, r in runs.items()}, args.rounds, args.device, args.seconds
        ),
    }
    flops, traffic = work(s, args.dtype.itemsize)
    floor = max(flops / ceilings[0], traffic / ceilings[1])
    rows, results = [], {}
    for name, run in runs.items():
        saved = measure.saved_bytes(run.forward, run.inputs[3:] if title == 'operator' else [])
        peak = measure.peak_bytes(run.training, args.device)
        forward, training = (median(times[x][name]) for x in ('forward', 'training'))
        share = f'{floor / training:.0%}' if title == 'operator' else ''
        results[name] = dict(
            forward=times['forward'][name], training=times['training'][name], saved=saved, peak=peak
        )
        rows.append(
            [
                name,
                f'{forward * 1e3:.2f}',
                f'{training * 1e3:.2f}',
                *(measure.ratio(times[x], name, OURS) for x in ('forward', 'training')),
                f'{saved / 1e6:.1f}',
                f'{peak / 1e6:.1f}',
                share,
            ]
        )
    print(f'\n{title}: {s}')
    header = ['', 'forward ms', 'fwd + bwd ms', 'forward / ours', 'fwd + bwd / ours']
    measure.print_table([*header, 'saved MB', 'peak MB', 'of roofline'], rows)
    for note in notes:
        print(f'({note})')
    return results


def growth(args: argparse.Namespace) -> dict:
    """Time of forward + backward along T, H * W and window, and the fitted exponent."""
    base = Shape(1, 8, 5, 14, 14)
    sweeps = {
        'T': ([4, 8, 16, 32], lambda n: base._replace(T=n), lambda n: n - 1),
        'H * W': ([7, 14, 28, 56], lambda n: base._replace(T=3, H=n, W=n), lambda n: n * n),
        'window * window': ([3, 5, 7, 9, 11], lambda n: base._replace(window=n), lambda n: n * n),
    }
    rivals = {x: OPERATOR[x] for x in (OURS, 'offset by offset', 'SDPA, all tokens')}
    results, rows = {}, []
    for along, (values, shape, size) in sweeps.items():
        points = {name: [] for name in rivals}
        for n in values:
            runs, _ = build(rivals, shape(n), args)
            calls = {name: run.training for name, run in runs.items()}
            times = measure.measure(calls, args.rounds, args.device, args.seconds)
            for name in rivals:
                points[name].append((size(n), median(times[name])))
        results[along] = points
        for name, line in points.items():
            ms = ', '.join(f'{t * 1e3:.1f}' for _, t in line)
            rows.append([along, name, ', '.join(map(str, values)), ms, f'{exponent(line):.2f}'])
    print()
    measure.print_table(['along', '', 'values (side)', 'fwd + bwd ms', 'exponent'], rows)
    return results


def exponent(line: list[tuple[float, float]]) -> float:
    """Slope of log time over log size, least squares."""
    xs, ys = ([math.log(v) for v in column] for column in zip(*line, strict=True))
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - mx) ** 2 for x in xs
    )


def plot(path: str, results: dict) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(4 * len(results), 3.4), sharey=True)
    for axis, (along, lines) in zip(axes, results.items(), strict=True):
        for name, line in lines.items():
            xs, ys = zip(*line, strict=True)
            label = f'{name}: {exponent(line):.2f}'
            axis.loglog(xs, [y * 1e3 for y in ys], marker='o', label=label)
        axis.set_xlabel('T - 1' if along == 'T' else along)
        axis.legend(fontsize=8)
    axes[0].set_ylabel('forward + backward, ms')
    figure.tight_layout()
    figure.savefig(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--dtype', help='default: float32 on the CPU, bfloat16 on the GPU')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--shapes', nargs='+', choices=SHAPES, default=list(SHAPES))
    parser.add_argument(
        '--parts', nargs='+', choices=['operator', 'layer'], default=['operator', 'layer']
    )
    parser.add_argument('--growth', action='store_true', help='only how time grows')
    parser.add_argument('--rounds', type=int, default=25)
    parser.add_argument('--seconds', type=float, default=20, help='limit of a measurement, about')
    parser.add_argument('--limit-gb', type=float, default=6, help='leave out rivals that need more')
    parser.add_argument('--json', help='file for the raw times')
    parser.add_argument('--plot', help='file for the plot of --growth')
    args = parser.parse_args()
    args.dtype = getattr(torch, args.dtype or ('float32' if args.device == 'cpu' else 'bfloat16'))
    return args


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    print(measure.machine(args.device), args.dtype)
    if args.growth:
        results = growth(args)
        if args.plot:
            plot(args.plot, results)
    else:
        ceilings = measure.ceilings(args.device, args.dtype)
        print(f'ceilings: {ceilings[0] / 1e9:.0f} GFLOP/s, {ceilings[1] / 1e9:.0f} GB/s')
        rivals = {'operator': OPERATOR | (ON_GPU if args.device == 'cuda' else {}), 'layer': LAYER}
        results = {
            f'{part} {name}': compare(part, rivals[part], SHAPES[name], args, ceilings)
            for name, part in product(args.shapes, args.parts)
        }
    measure.write_json(args.json, results)


if __name__ == '__main__':
    main()
