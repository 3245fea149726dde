"""What convert_emim.py and convert_uniformer.py share: arguments and a printed report."""

import argparse
from pathlib import Path

import torch

from mmaction_emim.models.weights.authors import CheckpointError
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint
from mmaction_emim.models.weights.convert import convert_checkpoint


def main(description: str, emim: bool) -> None:
    """The command line of both tools.

    Raises:
        ValueError: The file is no checkpoint, or something expected is missing in it; nothing is
            written.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', type=Path, help='checkpoint to read')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--reverse', action='store_true', help="ours to the authors'")
    parser.add_argument(
        '--num-classes', type=int, help="drop a head of another number; default: the checkpoint's"
    )
    parser.add_argument(
        '--label-map',
        type=Path,
        help="the authors' classes are these names sorted, ours in this order (Something-Something "
        'V1): move the head accordingly',
    )
    args = parser.parse_args()

    checkpoint = read_checkpoint(args.src)
    try:
        converted, report = convert_checkpoint(
            checkpoint, args.num_classes, emim, args.label_map, args.reverse
        )
    except CheckpointError as error:
        raise ValueError(f'{args.src}: {str(error).removeprefix("checkpoint: ")}') from error
    for what, names in report._asdict().items():
        print(f'{what:8}{len(names)}')
        for name in names if what != 'used' else []:
            print(f'        {name}')
    if report.missing:
        kind = 'EMIM-UniFormer' if emim else 'UniFormer'
        raise ValueError(
            f'{args.src}: {len(report.missing)} weights of {kind} missing or of another shape, '
            f'such as {report.missing[0]}; nothing was written'
        )
    torch.save(converted, args.dst)
    print(f'{args.src} -> {args.dst}')
