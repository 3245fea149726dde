"""What compilers make of the Triton kernels, on a machine without a GPU.

    python benchmarks/triton_resources.py                       # an H100 or H200, d 64, window 7
    python benchmarks/triton_resources.py --arch 80 86 90 --dtype bfloat16 float32 --d 128

``arch`` is the compute capability without its point. Registers are those of a thread, spilled ones
in bytes, shared memory in KiB of a program; products are tensor core instructions in the code.
"""

import argparse
import re
import subprocess
import tempfile
from itertools import product
from pathlib import Path

import measure
import torch
import triton
from triton.backends.compiler import GPUTarget

from mmaction_emim.ops import MLP
from mmaction_emim.ops import triton as backend

HEADER = ['arch', 'dtype', 'd', 'window', 'kernel', 'registers', 'spilled', 'shared', 'products']
CUOBJDUMP = Path(triton.__file__).parent / 'backends/nvidia/bin/cuobjdump'


class NoGPU:
    """Stands where Triton looks for a GPU."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget('cuda', arch, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def compiled(dtype: torch.dtype, d: int, window: int) -> list:
    """The kernels that one forward and backward would launch."""
    kernels, run = [], triton.JITFunction.run

    def compile_only(self, *args, warmup, **options):
        kernels.append(run(self, *args, warmup=True, **options))

    heads, H, hidden = 2, 14, 4 * window * window
    q, k, v = (torch.empty(1, 1, heads, H, H, d, dtype=dtype) for _ in range(3))
    mlp = MLP(*(torch.empty(x) for x in ((hidden, window**2), hidden, (d, hidden), d)))
    common = q, k, v, torch.empty(heads, window, window), mlp, 1.0, False
    triton.JITFunction.run = compile_only
    try:
        backend.forward(*common, torch.empty_like(q), None)
        backend.backward(torch.empty_like(q), None, *common, q, q, k, v)
    finally:
        triton.JITFunction.run = run
    return kernels


def resources(kernel: object) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(kernel.asm['cubin'])
        file.flush()
        command = [CUOBJDUMP, '-res-usage', file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, spilled = re.search(r'REG:(\d+) STACK:(\d+)', told).groups()
    products = len(re.findall(r'mma\.sync|mma_async', kernel.asm['ptx']))
    shared = f'{kernel.metadata.shared / 1024:.0f}'
    return [kernel.metadata.name, registers, spilled, shared, str(products)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', type=int, nargs='+', default=[90])
    parser.add_argument('--dtype', nargs='+', default=['bfloat16'])
    parser.add_argument('--d', type=int, nargs='+', default=[64])
    parser.add_argument('--window', type=int, nargs='+', default=[7])
    args = parser.parse_args()
    backend._precision = lambda q: 'tf32x3'  # what a GPU gets
    rows = []
    for arch, dtype, d, window in product(args.arch, args.dtype, args.d, args.window):
        triton.runtime.driver.set_active(NoGPU(arch))
        for kernel in compiled(getattr(torch, dtype), d, window):
            rows.append([str(arch), dtype, str(d), str(window), *resources(kernel)])
    measure.print_table(HEADER, rows)


if __name__ == '__main__':
    main()
