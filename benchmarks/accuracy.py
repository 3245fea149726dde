"""Errors of the operator's backends, forward and in every gradient, against float64.

    python benchmarks/accuracy.py                # on the GPU if there is one, else on the CPU
    TRITON_INTERPRET=1 python benchmarks/accuracy.py --shapes small    # Triton without a GPU

An error is the largest one over the largest value, in units of the dtype's rounding (2 ** -8 for
bfloat16, 2 ** -11 for float16, 2 ** -24 for float32). More than LIMITS allows ends in status 1.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import product

import measure
import torch
from ops import SHAPES, SMALL
from rivals import Shape
from torch import Tensor

from mmaction_emim import ops
from mmaction_emim.ops import triton

UNITS = {'bfloat16': 2**-8, 'float16': 2**-11, 'float32': 2**-24}
# Half precision: operands are rounded a few times on the way. float32: sums of up to some ten
# thousand terms.
LIMITS = {'bfloat16': 8, 'float16': 8, 'float32': 400}
OUTPUTS = ['out', 'qkv', 'bias', 'weight1', 'bias1', 'weight2', 'bias2']


def inputs(s: Shape, device: str, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    offsets, hidden = s.window**2, 4 * s.window**2
    shapes = [(s.B, s.T, s.H, s.W, 3, s.heads, s.d), (s.heads, s.window, s.window)]
    shapes += [(hidden, offsets), (hidden,), (s.d, hidden), (s.d,)]
    qkv, bias, w1, b1, w2, b2 = (torch.randn(shape, device=device) for shape in shapes)
    return [qkv.to(dtype), bias, w1 / s.window, b1, w2 / hidden**0.5, b2]


def output_and_gradients(
    tensors: list[Tensor], noise: Tensor, s: Shape, side: str, backend: str
) -> list[Tensor]:
    tensors = [x.detach().requires_grad_() for x in tensors]
    qkv, bias, *mlp = tensors
    options = dict(scale=s.d**-0.5, out_of_frame=side, backend=backend)
    out = ops.motion_attention(qkv, bias, s.window, ops.MLP(*mlp), **options)
    return [out, *torch.autograd.grad(out, tensors, noise.to(out.dtype))]


def errors(args: argparse.Namespace, wrong: list[str]) -> Iterator[list[str]]:
    """Rows of the table; what is above its limit is added to ``wrong``."""
    device = torch.device(args.device)
    for name, dtype, side in product(args.shapes, args.dtype, ops.OUT_OF_FRAME):
        s = (SHAPES | SMALL)[name]
        tensors = inputs(s, args.device, getattr(torch, dtype))
        noise = torch.randn_like(tensors[0][:, 1:, ..., 0, :, :])  # rounded as the output will be
        exact = [x.double() for x in tensors]
        exact = output_and_gradients(exact, noise, s, side, 'reference')
        for backend in ops.BACKENDS:
            if backend == 'triton' and triton.refusal(device, tensors[0].dtype, s.d, s.window):
                continue
            found = [
                ((x.double() - want).abs().max() / want.abs().max()).item() / UNITS[dtype]
                for x, want in zip(
                    output_and_gradients(tensors, noise, s, side, backend), exact, strict=True
                )
            ]
            yield [name, dtype, side, backend, *(f'{x:.2g}' for x in found)]
            above = [x for x in found if not x <= LIMITS[dtype]]  # NaN too
            wrong += [f'{name}, {dtype}, {side}, {backend}: {x:.3g}' for x in above]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    auto = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', choices=['cpu', 'cuda'], default=auto)
    parser.add_argument('--shapes', nargs='+', choices=SHAPES | SMALL, default=['stage3', 'stage4'])
    parser.add_argument('--dtype', nargs='+', choices=UNITS, default=list(UNITS))
    args = parser.parse_args()
    print(measure.machine(args.device), '\n')
    wrong = []
    rows = errors(args, wrong)  # one after the other: a run that is stopped has shown some
    measure.print_table(['shape', 'dtype', 'out_of_frame', 'backend', *OUTPUTS], rows)
    if reason := triton.refusal(torch.device(args.device), torch.bfloat16, 64, 7):
        measure.print_notes([f'triton: excluded, it {reason}'])
    if wrong:
        sys.exit('Errors above the limit: ' + '; '.join(wrong))


if __name__ == '__main__':
    main()
