"""Loss, accuracy, learning rate and throughput of one or several runs on one page.

python tools/analysis_tools/curves.py work_dirs/one work_dirs/other --out curves.png
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import sys
from pathlib import Path

from mmaction_emim.utils.command_line import run
from mmaction_emim.visualization.curves import plot_curves, read_curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'log', type=Path, nargs='+', help='work_dir, its folder of a run, or a scalars.json'
    )
    parser.add_argument('--names', nargs='+', help='of the runs; default: their folders')
    parser.add_argument('--out', type=Path, default=Path('curves.png'), help='.png, .pdf or .svg')
    args = parser.parse_args()
    if args.names and len(args.names) != len(args.log):
        raise ValueError(f'--names: give {len(args.log)}, one a log, got {len(args.names)}')
    if args.out.suffix.lower() not in ('.png', '.pdf', '.svg'):
        raise ValueError(f'{args.out}: the suffix must be one of .png, .pdf, .svg')
    names = args.names or [None] * len(args.log)
    runs = [read_curves(*log) for log in zip(args.log, names, strict=True)]
    for curves in runs:
        for line in curves.broken:
            print(f'left out: {line}', file=sys.stderr)
        again = f', {curves.replaced} of them again after a resume' if curves.replaced else ''
        total = len(curves.train) + curves.replaced
        print(f'{curves.name}: {total} records of training{again}, {len(curves.val)} validations')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    plot_curves(runs).savefig(args.out, dpi=110)
    print(args.out)


if __name__ == '__main__':
    run(main)
