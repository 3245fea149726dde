"""What a network says of clips.

python demo/demo.py                                      # sample clips, the network beside them
python demo/demo.py VIDEO CONFIG CHECKPOINT LABELS       # MMAction2's order
python demo/demo.py videos/ emim_sthv2 epoch_50.pth data/sthv2/label_map.txt --out answers.csv
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import os
import sys
from pathlib import Path

from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table

from mmaction_emim.apis import MotionInferencer, Prediction
from mmaction_emim.apis.clips import SECONDS
from mmaction_emim.utils.command_line import run

HERE = Path(os.path.relpath(Path(__file__).resolve().parent))
CLIPS, CONFIG, CHECKPOINT = HERE / 'clips', 'emim_motionshapes', HERE / 'emim_motionshapes.pth'
SHORT_SIDE = 64  # pixels of the frames that this network was trained on
PICTURE = 'work_dirs/demo.png'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'video',
        nargs='?',
        help='file, folder (searched), number of a camera, rtsp:// or http:// address; '
        'default: the sample clips',
    )
    parser.add_argument('config', nargs='?', help='file, or name as emim_sthv2')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('labels', nargs='?', help='one class name a line; default: found by itself')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--top-k', type=int, default=5)
    parser.add_argument(
        '--threshold',
        type=float,
        help='probability of a class that is there, of a network for several labels (0.5)',
    )
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--seconds', type=float, help=f'of a camera or an address ({SECONDS:g})')
    parser.add_argument(
        '--short-side',
        type=int,
        help='scale larger frames down to so many pixels; default: as the config says, '
        f'with the network beside the demo {SHORT_SIDE}',
    )
    parser.add_argument(
        '--out',
        action='append',
        help='.json, .csv, .png, .mp4 or .gif; may be given several times; '
        f'without any argument {PICTURE}',
    )
    args = parser.parse_args()
    if args.config and not args.checkpoint:
        raise ValueError(f'CHECKPOINT: {args.config} needs one')
    out = args.out or ([] if args.video else [PICTURE])
    is_camera = args.video and args.video.isdecimal() and not Path(args.video).exists()
    if args.seconds is not None and not (is_camera or '://' in (args.video or '')):
        raise ValueError(f'--seconds is for a camera or an address, got {args.video}')
    MMLogger.get_instance('demo', log_level='WARNING')
    if args.short_side is None and not args.config:
        args.short_side = SHORT_SIDE
    inferencer = MotionInferencer(
        args.config or CONFIG,
        args.checkpoint or CHECKPOINT,
        args.device,
        args.labels,
        short_side=args.short_side,
        threshold=args.threshold,
    )
    predictions = inferencer(
        int(args.video) if is_camera else args.video or CLIPS,
        args.batch_size,
        args.top_k,
        out,
        SECONDS if args.seconds is None else args.seconds,
    )
    show(predictions)
    print(f'probability: {inferencer.about()["probabilities"]}')
    if args.short_side and args.video:
        print(f'frames of more than {args.short_side} pixels (short side) are scaled down to that')
    if inferencer.threshold:
        print(f'answer: the classes with a probability of {inferencer.threshold:g} or more')
    for path in out:
        print(path)
    if any(prediction.error for prediction in predictions):
        sys.exit(1)


def show(predictions: list[Prediction]) -> None:
    """Print a table of the answers, and to stderr why others are missing."""
    table = Table()
    for column in ('clip', 'answer', 'probability', 'then'):
        table.add_column(column, overflow='fold')
    for one in predictions:
        if one.error:
            print(f'error: {one.error}', file=sys.stderr)
        else:
            said = one.top[:1] if one.labels is None else one.labels
            rest = one.top[len(said) : len(said) + 2]
            table.add_row(
                one.clip,
                '\n'.join(guess.name for guess in said) or one.answer,
                '\n'.join(f'{guess.probability:.3f}' for guess in said),
                '\n'.join(f'{guess.name} {guess.probability:.2f}' for guess in rest),
            )
    if table.row_count:
        Console(markup=False).print(table)


if __name__ == '__main__':
    run(main)
