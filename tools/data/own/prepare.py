#!/usr/bin/env python
"""Your own clips: from a folder of classes, or a table, to lists and a config. See README.md."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import os
from pathlib import Path

from mmaction_emim.datasets.prepare.own import prepare_own, settings
from mmaction_emim.datasets.prepare.own.prepare import TABLES
from mmaction_emim.utils.command_line import run

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition('=')
    if not sign:
        raise argparse.ArgumentTypeError(f'expected NAME=VALUE, got {text!r}')
    return name, value


def by_name(option: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    for name in (names := [name for name, _ in pairs]):
        if names.count(name) > 1:
            raise ValueError(f'{option}: {name} is given {names.count(name)} times')
    return dict(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        'source', type=Path, help='folder CLASS/clip or train/CLASS/clip, or a .csv or .tsv table'
    )
    parser.add_argument('out', type=Path, nargs='?', help='data_root (default: data/NAME)')
    parser.add_argument('--root', type=Path, help="folder of a table's clips (default: its own)")
    parser.add_argument(
        '--columns', type=pair, nargs='+', default=[], metavar='path=NAME',
        help='names of the columns path, class, group and split of a table',
    )  # fmt: skip
    parser.add_argument(
        '--group-pattern', metavar='REGEX', help='what in a path tells the person or the scene'
    )
    parser.add_argument(
        '--split-lists', type=pair, nargs='+', default=[], metavar='train=FILE',
        help='lists of the clips of train, val and test, a path a line',
    )  # fmt: skip
    parser.add_argument('--val', type=float, default=0.2, help='share of each class, if not given')
    parser.add_argument('--test', type=float, default=0.0, help='share of each class, if not given')
    parser.add_argument('--seed', type=int, default=0, help='of the split')
    parser.add_argument(
        '--network', choices=settings.NETWORKS, default='small',
        help='small: fine-tuned, downloads weights; tiny: from scratch, for a CPU',
    )  # fmt: skip
    parser.add_argument(
        '--multi-label', action='store_true',
        help="a table's clips have several classes: with | or ; between them, or in several rows",
    )  # fmt: skip
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    name = args.source.resolve().name
    if args.source.suffix.lower() in TABLES:
        name = Path(name).stem
    lists = by_name('--split-lists', args.split_lists)
    for sentence in prepare_own(
        args.source,
        args.out or Path('data') / name,
        CONFIGS,
        root=args.root,
        columns=by_name('--columns', args.columns),
        group_pattern=args.group_pattern,
        split_lists={split: Path(path) for split, path in lists.items()},
        shares=dict(val=args.val, test=args.test),
        seed=args.seed,
        network=args.network,
        several=args.multi_label,
        workers=args.workers,
    ):
        print(sentence)


if __name__ == '__main__':
    run(main)
