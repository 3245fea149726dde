"""Is the motion field the motion? EMIM's displacements against the truth of MotionShapes.

python tools/visualizations/motion_truth.py configs/emim_motionshapes.py CHECKPOINT --out truth.png
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmaction_emim.apis import init_recognizer
from mmaction_emim.evaluation.protocol import input_shape
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.visualization.truth import (
    FIRST_SEED,
    agreements,
    found_and_true,
    plot_agreement,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--clips', type=int, default=20, help='of each class; default 20')
    parser.add_argument('--interval', type=int, default=3, help='frames between samples; default 3')
    parser.add_argument('--size', type=int, default=64, help='of a frame, pixels; default 64')
    parser.add_argument('--layer', help='default: every EMIM layer')
    parser.add_argument('--head', type=int, help='default: all averaged')
    parser.add_argument('--out', type=Path, help='a picture, of one layer')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    for name in ('clips', 'interval'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} must be 1 or more, got {getattr(args, name)}')
    cfg = read_config(args.config)
    model = init_recognizer(cfg, args.checkpoint, args.device)
    frames = range(0, input_shape(cfg)[0] * args.interval, args.interval)
    layers = found_and_true(model, args.clips, frames, args.size, args.layer, args.head)
    if args.out and len(layers) > 1:
        raise ValueError(f'--out: choose one --layer of {", ".join(layers)}')
    for name, motion in layers.items():
        title = (
            f'{name}, {len(frames)} frames, one in {args.interval}, {args.size} x {args.size} px'
        )
        table = Table(
            'class', 'places', 'median angle', 'within 45°', 'length', 'error, px', 'still, px'
        )
        for class_name, got in agreements(motion):
            table.add_row(
                class_name,
                f'{got.places:,}',
                f'{got.direction:.0f}°',
                f'{got.within_45:.2f}',
                f'{got.length:.2f}',
                f'{got.error:.2f}',
                f'{got.still_error:.2f}',
            )
        print(f'{title}; {args.clips} clips a class, seeds from {FIRST_SEED} on')
        Console(width=100).print(table)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            plot_agreement(motion, title).savefig(args.out, dpi=110)


if __name__ == '__main__':
    run(main)
