#!/usr/bin/env python
"""Something-Something V1: from the official files to MMAction2's lists. See README.md."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import sys
from pathlib import Path

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.prepare import archives, folder
from mmaction_emim.utils.command_line import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script finds its own folder only
import preparation

PUBLISHED = dict(train=86_017, val=11_522, test=10_960)
FILES = dict(train='train', val='validation', test='test')


def main() -> None:
    parser = preparation.parser(__doc__.splitlines()[0], 'data/sthv1', videos=False)
    parser.add_argument(
        '--label-order',
        choices=['official', 'alphabetical'],
        default='official',
        help="official: of labels.csv, MMAction2's; alphabetical: of the papers' released code",
    )
    args = parser.parse_args()
    frames = args.out / 'rawframes'
    if parts := archives.find_parts(args.download, r'20bn-something-something-v1-(\d\d)'):
        archives.unpack(parts, frames, {'.jpg'}, depth=2)
    names = folder.find(args.download, 'something-something-v1-labels.csv')
    classes = annotations.read_labels(names)
    if args.label_order == 'alphabetical':
        classes = sorted(classes)
    splits = []
    for name, file in FILES.items():
        csv = f'something-something-v1-{file}.csv'
        path = folder.find(args.download, csv, required=name != 'test')
        if path and name in args.splits:
            clips = annotations.read_sthv1(path, None if name == 'test' else classes)
            list_name = f'sthv1_{name}_list_rawframes.txt'
            keep_bad = name != 'train'
            splits.append(folder.Split(name, clips, list_name, frames, PUBLISHED[name], keep_bad))
    print(f'{len(classes)} classes in {args.label_order} order: 0 is {classes[0]!r}')
    whole = folder.write_frames(args.out, splits, classes, args.workers, args.subset)
    sys.exit(0 if whole else preparation.INCOMPLETE)


if __name__ == '__main__':
    run(main)
