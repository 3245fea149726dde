"""Backward of depthwise 3-D convolutions on a CPU: ours against torch's.

    python benchmarks/depthwise.py                        # float32 and bfloat16, channels last
    python benchmarks/depthwise.py --format contiguous    # as networks are without channels_last

The shapes are those of EMIM-UniFormer-S, one clip of 16 x 224 x 224, and of the tiny network, 8
clips of 8 x 64 x 64. Both run in the same rounds; a ratio is torch / ours: above 1, ours is faster.
"""

import argparse
from collections.abc import Callable
from statistics import median

import measure
import torch
import torch.nn.functional as F

from mmaction_emim.ops.depthwise import DepthwiseConv3d

FORMATS = {'channels_last': torch.channels_last_3d, 'contiguous': torch.contiguous_format}
SHAPES = {  # N, C, T, H, W and the kernel's side
    'S, stage 1': ((1, 64, 16, 56, 56), (3, 5)),
    'S, stage 2': ((1, 128, 16, 28, 28), (3, 5)),
    'S, stage 3': ((1, 320, 16, 14, 14), (3,)),
    'S, stage 4': ((1, 512, 16, 7, 7), (3,)),
    'tiny, stage 2': ((8, 32, 8, 16, 16), (3, 5)),
    'tiny, stage 3': ((8, 64, 8, 8, 8), (3,)),
}


def candidates(
    shape: tuple[int, ...], side: int, dtype: torch.dtype, memory_format: torch.memory_format
) -> dict[str, Callable[[], object]]:
    C, padding = shape[1], (side // 2,) * 3
    x = torch.randn(shape, dtype=dtype).to(memory_format=memory_format).requires_grad_()
    weight = torch.randn(C, 1, side, side, side, dtype=dtype).to(memory_format=memory_format)
    parameters = [weight.requires_grad_(), torch.randn(C, dtype=dtype, requires_grad=True)]
    outputs = {
        'torch': F.conv3d(x, *parameters, padding=padding, groups=C),
        'ours': DepthwiseConv3d.apply(x, *parameters, padding),
    }
    grad = torch.randn_like(outputs['torch'])
    calls = {
        name: lambda out=out: torch.autograd.grad(out, [x, *parameters], grad, retain_graph=True)
        for name, out in outputs.items()
    }
    calls['forward'] = lambda: F.conv3d(x, *parameters, padding=padding, groups=C)
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--shapes', nargs='+', choices=SHAPES, default=list(SHAPES))
    parser.add_argument('--dtype', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument('--format', choices=FORMATS, default='channels_last')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=20, help='limit of a measurement, about')
    parser.add_argument('--json', help='file for the raw times')
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    print(measure.machine('cpu'), args.format)
    rows, results = [], {}
    for name in args.shapes:
        shape, sides = SHAPES[name]
        for side in sides:
            for dtype in args.dtype:
                calls = candidates(shape, side, getattr(torch, dtype), FORMATS[args.format])
                times = measure.measure(calls, args.rounds, 'cpu', args.seconds)
                results[f'{name}, {side}, {dtype}'] = times
                ms = (f'{median(times[x]) * 1e3:.3g}' for x in ('forward', 'torch', 'ours'))
                kernel = f'{side}x{side}x{side}'
                rows.append([name, kernel, dtype, *ms, measure.ratio(times, 'torch', 'ours')])
    header = ['', 'kernel', 'dtype', 'forward ms', "torch's backward ms", 'ours ms', 'torch / ours']
    measure.print_table(header, rows)
    measure.write_json(args.json, results)


if __name__ == '__main__':
    main()
