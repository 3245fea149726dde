"""Next-frame local attention against its rivals: time, memory, growth.

    python benchmarks/ops.py             # one GPU, bfloat16, if there is one; else CPU, 2 threads
    python benchmarks/ops.py --growth    # how time grows with T, H * W and window
    python benchmarks/ops.py --authors-kernels DIR    # folder of the built localAttention module

Every shape's rivals run in the same rounds. Ratios are rival / ours: above 1, ours is faster. A
rival that cannot run is listed with the reason, and one that does other work has a footnote.
"""

import argparse
import math
import sys
from itertools import product
from statistics import median

import measure
import torch
from rivals import LAYER, OFFSETS, ON_GPU, OPERATOR, OURS, SDPA, UNEQUAL, Shape, build

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
SMALL = {'small': Shape(1, 3, 2, 5, 6, 16, 3)}  # to try the script


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
    runs, excluded = build(rivals, s, args.device, args.dtype, args.limit_gb)
    times = {
        kind: measure.measure(
            {name: getattr(run, kind) for name, run in runs.items()},
            args.rounds,
            args.device,
            args.seconds,
        )
        for kind in ('inference', 'training')
    }
    flops, traffic = work(s, args.dtype.itemsize)
    floor = max(flops / ceilings[0], traffic / ceilings[1])
    footnotes, rows, results = [], [], {}
    on_gpu = args.device == 'cuda'
    for name, run in runs.items():
        saved = measure.saved_bytes(run.forward, run.parameters)
        peak = measure.peak_bytes(run.training, args.device)
        forward, training = (median(times[kind][name]) for kind in times)
        # A GPU waits between the kernels of so small an operator: its share is of their own time.
        busy = measure.kernel_seconds(run.training) if on_gpu else training
        mark = ''
        if note := UNEQUAL.get(name):
            footnotes += [note] * (note not in footnotes)
            mark = f' [{footnotes.index(note) + 1}]'
        results[name] = dict(
            forward=times['inference'][name],
            training=times['training'][name],
            kernels=busy,
            saved=saved,
            peak=peak,
        )
        rows.append(
            [
                name + mark,
                f'{forward * 1e3:.3g}',
                f'{training * 1e3:.3g}',
                *(measure.ratio(times[kind], name, OURS) for kind in times),
                f'{saved / 1e6:.1f}',
                f'{peak / 1e6:.1f}',
                *([f'{busy * 1e3:.3g}'] if on_gpu else []),
                f'{floor / busy:.0%}' if title == 'operator' else '',
            ]
        )
    print(f'\n{title}: {s}\n')
    header = ['', 'forward ms', 'fwd + bwd ms', 'forward / ours', 'fwd + bwd / ours', 'saved MB']
    header += ['peak MB', *(['kernels ms'] if on_gpu else []), 'of roofline']
    measure.print_table(header, rows)
    measure.print_notes([f'[{i}] {note}' for i, note in enumerate(footnotes, 1)] + excluded)
    return dict(results, excluded=excluded)


def growth(args: argparse.Namespace) -> dict:
    """Time and memory of forward + backward along T, H * W and window, and time's exponent."""
    base = Shape(1, 8, 5, 14, 14)
    sweeps = {
        'T - 1': ([4, 8, 16, 32], lambda n: base._replace(T=n), lambda n: n - 1),
        'H * W': ([7, 14, 28, 56], lambda n: base._replace(T=3, H=n, W=n), lambda n: n * n),
        'window * window': ([3, 5, 7, 9, 11], lambda n: base._replace(window=n), lambda n: n * n),
    }
    rivals = {x: OPERATOR[x] for x in (OURS, OFFSETS, SDPA)}
    results, rows, notes = {}, [], []
    for along, (values, shape, size) in sweeps.items():
        points = {name: [] for name in rivals}
        peaks = {name: [] for name in rivals}
        for n in values[: args.points]:
            runs, excluded = build(rivals, shape(n), args.device, args.dtype, args.limit_gb)
            notes += [f'{along}, {n}: {note}' for note in excluded]
            calls = {name: run.training for name, run in runs.items()}
            times = measure.measure(calls, args.rounds, args.device, args.seconds)
            for name, call in calls.items():
                points[name].append((size(n), median(times[name])))
                peaks[name].append(measure.peak_bytes(call, args.device))
        # A slope needs two points; what is missing is in the notes.
        results[along] = {name: line for name, line in points.items() if len(line) > 1}
        for name, line in results[along].items():
            ms = ', '.join(f'{t * 1e3:.1f}' for _, t in line)
            sizes = ', '.join(f'{x:.0f}' for x, _ in line)
            peak = ', '.join(f'{x / 1e6:.1f}' for x in peaks[name])
            rows.append([along, name, sizes, ms, f'{exponent(line):.2f}', peak])
    print()
    header = ['along', '', 'sizes', 'fwd + bwd ms', 'exponent', 'peak MB']
    measure.print_table(header, rows)
    measure.print_notes(notes)
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
        axis.set_xlabel(along)
        axis.legend(fontsize=8)
    axes[0].set_ylabel('forward + backward, ms')
    figure.tight_layout()
    figure.savefig(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    parser.add_argument('--dtype', help='default: float32 on the CPU, bfloat16 on the GPU')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--shapes', nargs='+', choices=SHAPES | SMALL, default=list(SHAPES))
    parser.add_argument(
        '--parts', nargs='+', choices=['operator', 'layer'], default=['operator', 'layer']
    )
    parser.add_argument('--growth', action='store_true', help='only how time grows')
    parser.add_argument('--points', type=int, default=5, help='the most of a line of --growth')
    parser.add_argument('--rounds', type=int, default=25)
    parser.add_argument('--seconds', type=float, default=20, help='limit of a measurement, about')
    parser.add_argument('--limit-gb', type=float, default=6, help='leave out rivals that need more')
    parser.add_argument(
        '--authors-kernels', metavar='DIR', help='folder of the built localAttention module'
    )
    parser.add_argument('--json', help='file for the raw times')
    parser.add_argument('--plot', help='file for the plot of --growth')
    args = parser.parse_args()
    if args.device == 'auto':
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.authors_kernels:
        sys.path.insert(0, args.authors_kernels)
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
            f'{part} {name}': compare(part, rivals[part], (SHAPES | SMALL)[name], args, ceilings)
            for name, part in product(args.shapes, args.parts)
        }
    measure.write_json(args.json, results)


if __name__ == '__main__':
    main()
