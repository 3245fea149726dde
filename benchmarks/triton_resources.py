"""What compilers make of the Triton kernels, and what they will cost, on a machine without a GPU.

    python benchmarks/triton_resources.py                       # an H100 or H200, d 64, window 7
    python benchmarks/triton_resources.py --arch 80 90 120 --dtype bfloat16 float32 --d 128
    python benchmarks/triton_resources.py --predict             # bytes and operations on an H200

``arch`` is the compute capability without its point. Registers are those of a thread, spilled ones
in bytes, shared memory in KiB of a program; products are tensor core instructions in the code.

A prediction is a count, not a measurement. It has three times that a kernel cannot beat: its bytes
over the memory's rate, the products it does (blocks that are not full included) over the tensor
cores' rate, and its instructions, of which a multiprocessor issues four a clock. The last are
counted in the compiled code, each loop by how often it runs.
"""

import argparse
import math
import re
import subprocess
import tempfile
from itertools import product
from pathlib import Path

import measure
import torch
import triton
from ops import SHAPES
from rivals import Shape
from triton.backends.compiler import GPUTarget

from mmaction_emim.ops import MLP
from mmaction_emim.ops import triton as backend

HEADER = ['arch', 'dtype', 'd', 'window', 'kernel', 'registers', 'spilled', 'shared', 'products']
PREDICTED_HEADER = ['shape', 'kernel', 'MB', 'GFLOP']
PREDICTED_HEADER += ['bytes, µs', 'products, µs', 'instructions, µs']
CUOBJDUMP = Path(triton.__file__).parent / 'backends/nvidia/bin/cuobjdump'
PARTS = ['layer', 'operator', 'masked', 'cost_volume']
PREDICTED = {x: SHAPES[x] for x in ('stage3', 'stage4', 'stage3-B8', 'stage4-B8')}
PREDICTED |= {f'{x}-T32': PREDICTED[x]._replace(T=32) for x in ('stage3-B8', 'stage4-B8')}
# H200: bytes/s, dense bfloat16 FLOP/s, multiprocessors * clock * instructions a clock
BANDWIDTH, TENSOR_RATE, ISSUE_RATE = 4.8e12, 989e12, 132 * 1.75e9 * 4


class NoGPU:
    """Stands where Triton looks for a GPU."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget('cuda', arch, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.target.arch  # Triton keeps compiled kernels by device

    def get_current_stream(self, device: int) -> int:
        return 0


def compiled(dtype: torch.dtype, d: int, window: int, part: str = 'layer') -> list:
    """The kernels that one forward and backward launch of a ``part`` of ``PARTS``."""
    kernels, run = [], triton.JITFunction.run

    def compile_only(self, *args, warmup, **options):
        kernels.append(run(self, *args, warmup=True, **options))

    heads, H, hidden = 2, 14, 4 * window * window
    q, k, v = (torch.empty(1, 1, heads, H, H, d, dtype=dtype) for _ in range(3))
    bias, mlp = torch.empty(heads, window, window), None
    context, affinity = torch.empty_like(v), torch.empty(1, 1, heads, H, H, window**2)
    if part == 'layer':
        mlp = MLP(*(torch.empty(x) for x in ((hidden, window**2), hidden, (d, hidden), d)))
        affinity = None
    elif part == 'cost_volume':
        v = context = None
    common = q, k, v, bias, mlp, 1.0, part == 'masked'
    triton.JITFunction.run = compile_only
    try:
        backend.forward(*common, context, affinity)
        backend.backward(context, affinity, *common, affinity, q, k, v)
    finally:
        triton.JITFunction.run = run
    return kernels


def dump(kernel: object, what: str) -> str:
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(kernel.asm['cubin'])
        file.flush()
        command = [CUOBJDUMP, what, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def resources(kernel: object) -> list[str]:
    registers, spilled = re.search(r'REG:(\d+) STACK:(\d+)', dump(kernel, '-res-usage')).groups()
    products = len(re.findall(r'mma\.sync|mma_async|tcgen05\.mma', kernel.asm['ptx']))
    shared = f'{kernel.metadata.shared / 1024:.0f}'
    return [kernel.metadata.name, registers, spilled, shared, str(products)]


def instructions(kernel: object, trips: list[float], programs: float) -> float:
    """Instructions of all warps if the code's loops, in their order, run ``trips`` times in all."""
    code = re.findall(r'/\*([0-9a-f]{4,})\*/\s+([^;]+);', dump(kernel, '-sass'))
    places = [int(place, 16) for place, text in code if 'NOP' not in text]
    loops = []
    for place, text in code:
        target = re.search(r'BRA.*?0x([0-9a-f]+)', text)
        if target and int(target[1], 16) < int(place, 16):
            loops.append((int(target[1], 16), int(place, 16)))
    if len(loops) != len(trips):
        raise RuntimeError(f'{kernel.metadata.name}: {len(loops)} loops, expected {len(trips)}')
    sizes = [sum(first <= x <= last for x in places) for first, last in sorted(loops)]
    total = (len(places) - sum(sizes)) * programs
    total += sum(size * n for size, n in zip(sizes, trips, strict=True))
    return total * kernel.metadata.num_warps


def predict(s: Shape, dtype: torch.dtype) -> list[list[str]]:
    """For each kernel of a layer's operator: MB, GFLOP and its three times in microseconds."""
    P, hidden, size = s.T - 1, 4 * s.window**2, dtype.itemsize
    launch = backend._Launch.of(torch.empty(s.B, P, s.heads, s.H, s.W, s.d, dtype=dtype), s.window)
    programs, pitch, frames = launch.grid[0], launch.pitch, s.B * P * s.heads
    rows, D, keys = launch.options['ROWS'], launch.options['D'], launch.tile['KEYS']
    offsets, block = launch.mlp['OFFSETS'], launch.mlp['HIDDEN']
    places = product(_reach(s.H, launch.tile['TILE_H'], s), _reach(s.W, launch.tile['TILE_W'], s))
    blocks = frames * sum(math.ceil(h * w / keys) for h, w in places)
    chunks = math.ceil(hidden / block)
    pair = 2 * rows * keys * D  # FLOPs of the product of a block
    unit = 2 * rows * block  # the same of a block of the hidden layer, for each column
    queries = frames * s.H * s.W
    tensor, row = queries * s.d * size, queries * pitch * size
    steps = math.ceil(queries / rows)
    partial = 2 * backend.SHARES * hidden * (s.window**2 + s.d) * 4
    counts = {  # bytes, FLOPs, trips of the loops, programs
        'forward': (
            4 * tensor,
            blocks * 2 * pair + programs * chunks * unit * (offsets + D),
            [blocks, blocks, programs * chunks],
            programs,
        ),
        'queries_backward': (
            5 * tensor + 3 * row,
            blocks * 3 * pair + programs * chunks * unit * (2 * offsets + D),
            [blocks, programs * chunks, blocks],
            programs,
        ),
        'keys_backward': (4 * tensor + 2 * row, blocks * 2 * pair, [blocks], programs),
        'mlp_backward': (
            tensor + row + partial,
            steps * chunks * unit * 2 * (offsets + D),
            [steps * chunks],
            backend.SHARES * chunks,
        ),
    }
    table = []
    for kernel in compiled(dtype, s.d, s.window):
        traffic, flops, trips, n = counts[kernel.metadata.name]
        issued = instructions(kernel, trips, n)
        times = (traffic / BANDWIDTH, flops / TENSOR_RATE, issued / ISSUE_RATE)
        table.append([kernel.metadata.name, traffic / 1e6, flops / 1e9, *(t * 1e6 for t in times)])
    table.append(['all', *(sum(column) for column in list(zip(*table, strict=True))[1:])])
    return [[name, *(f'{x:.3g}' for x in numbers)] for name, *numbers in table]


def _reach(length: int, tile: int, s: Shape) -> list[int]:
    """Lines of keys inside the frame that each tile meets."""
    r = s.window // 2
    return [min(length, x + tile + r) - max(0, x - r) for x in range(0, length, tile)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', type=int, nargs='+', default=[90])
    parser.add_argument('--dtype', nargs='+', default=['bfloat16'])
    parser.add_argument('--d', type=int, nargs='+', default=[64])
    parser.add_argument('--window', type=int, nargs='+', default=[7])
    parser.add_argument('--part', nargs='+', choices=PARTS, default=['layer'])
    parser.add_argument('--predict', action='store_true', help='for an H200, in bfloat16')
    args = parser.parse_args()
    backend._precision = lambda q: 'tf32x3'  # what a GPU gets
    if args.predict:
        triton.runtime.driver.set_active(NoGPU(90))
        rows = [[n, *row] for n, s in PREDICTED.items() for row in predict(s, torch.bfloat16)]
        measure.print_table(PREDICTED_HEADER, rows)
        return
    rows = []
    for arch, dtype, d, window, part in product(
        args.arch, args.dtype, args.d, args.window, args.part
    ):
        triton.runtime.driver.set_active(NoGPU(arch))
        backend._on_hopper = lambda q, arch=arch: arch // 10 == 9
        for kernel in compiled(getattr(torch, dtype), d, window, part):
            rows.append([str(arch), dtype, str(d), str(window), *resources(kernel)])
    measure.print_table(HEADER, rows)


if __name__ == '__main__':
    main()
