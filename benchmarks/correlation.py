"""``spatial_correlation_sample`` against the extension whose arguments it has, and other ways.

    python benchmarks/correlation.py                 # the GPU if there is one; else CPU, 2 threads

The extension, ``spatial-correlation-sampler``, is a row where it is built and installed. Rivals run
in the same rounds, float32; a ratio is rival / ours: above 1, ours is faster.
"""

import argparse
import importlib
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import measure
import torch
import torch.nn.functional as F
from torch import Tensor

from mmaction_emim import ops

OURS = 'ours'


class Case(NamedTuple):
    """Shape of the features and what is asked of them."""

    B: int
    C: int
    H: int
    W: int
    patch: int
    step: int = 1  # of displacements

    def __str__(self) -> str:
        return f'{self.B} x {self.C} x {self.H} x {self.W}, patch {self.patch}, step {self.step}'


CASES = {
    'MotionSqueeze': Case(7, 64, 28, 28, 15),
    'PWC-Net': Case(1, 64, 48, 64, 9),
    'FlowNetC': Case(1, 256, 48, 64, 21, 2),
    'small': Case(1, 4, 6, 5, 3, 2),  # to try the script
}


def ours(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    return ops.SpatialCorrelationSampler(patch_size=case.patch, dilation_patch=case.step)


def loop(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    r, side = case.patch // 2 * case.step, range(0, case.patch * case.step, case.step)

    def correlate(a: Tensor, b: Tensor) -> Tensor:
        H, W = a.shape[2:]
        b = F.pad(b, (r, r, r, r))
        maps = [(a * b[..., y : y + H, x : x + W]).sum(1) for y in side for x in side]
        return torch.stack(maps, 1).unflatten(1, (case.patch, case.patch))

    return correlate


def compiled_loop(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    return torch.compile(loop(case))


def unfold(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    r = case.patch // 2 * case.step

    def correlate(a: Tensor, b: Tensor) -> Tensor:
        B, C, H, W = a.shape
        keys = F.unfold(b, case.patch, case.step, padding=r).view(B, C, -1, H * W)
        out = torch.einsum('bcs,bcps->bps', a.flatten(2), keys)
        return out.view(B, case.patch, case.patch, H, W)

    return correlate


def extension(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    sampler = importlib.import_module('spatial_correlation_sampler').SpatialCorrelationSampler
    return sampler(patch_size=case.patch, dilation_patch=case.step)


RIVALS = {
    OURS: ours,
    'extension': extension,
    'unfold + einsum': unfold,
    'loop over displacements': loop,
    'the same, torch.compile': compiled_loop,
}


def measured(name: str, case: Case, args: argparse.Namespace) -> tuple[list[list[str]], dict]:
    """Rows of the table, and the raw times, with notes on what could not run."""
    shape = case[:4]
    a, b = (torch.randn(shape, device=args.device, requires_grad=True) for _ in range(2))
    calls, training, notes = {}, {}, []
    for rival in args.rivals:
        try:
            correlate = RIVALS[rival](case)
            if rival.startswith('unfold') and case.patch**2 * a.numel() * 12 > args.limit_gb * 1e9:
                raise MemoryError(f'more than --limit-gb={args.limit_gb:g}')
            out = correlate(a, b)
            torch.testing.assert_close(out, loop(case)(a, b), rtol=1e-3, atol=1e-3)
        except Exception as error:
            notes.append(measure.excluded(f'{name}, {rival}', error))
            continue
        grad = torch.randn_like(out)

        def both(correlate: Callable = correlate, grad: Tensor = grad) -> None:
            torch.autograd.grad(correlate(a, b), (a, b), grad)

        def forward(correlate: Callable = correlate) -> None:
            with torch.no_grad():
                correlate(a, b)

        calls[rival], training[rival] = forward, both
    times = {
        kind: measure.measure(x, args.rounds, args.device, args.seconds)
        for kind, x in (('forward', calls), ('training', training))
    }
    rows = [
        [
            name,
            rival,
            *(f'{median(times[kind][rival]) * 1e3:.3g}' for kind in times),
            *(measure.ratio(times[kind], rival, OURS) for kind in times),
        ]
        for rival in calls
    ]
    return rows, dict(times, excluded=notes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES)[:-1])
    parser.add_argument('--rivals', nargs='+', choices=RIVALS, default=list(RIVALS))
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=20, help='limit of a measurement, about')
    parser.add_argument('--limit-gb', type=float, default=6, help='leave out unfold beyond it')
    parser.add_argument('--json', help='file for the raw times')
    args = parser.parse_args()
    args.rivals = [OURS, *(x for x in args.rivals if x != OURS)]
    if args.device == 'auto':
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    print(measure.machine(args.device))
    rows, results = [], {}
    for name in args.cases:
        print(f'{name}: {CASES[name]}')
        new, results[name] = measured(name, CASES[name], args)
        rows += new
    header = ['', '', 'forward ms', 'fwd + bwd ms', 'forward / ours', 'fwd + bwd / ours']
    measure.print_table(header, rows)
    measure.print_notes([note for times in results.values() for note in times['excluded']])
    measure.write_json(args.json, results)


if __name__ == '__main__':
    main()
