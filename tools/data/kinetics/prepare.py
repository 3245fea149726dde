#!/usr/bin/env python
"""Kinetics-400 and -600: from csv and clips to MMAction2's lists. See README.md."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import re
import sys
from pathlib import Path

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.prepare import archives, folder
from mmaction_emim.utils.command_line import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script finds its own folder only
import preparation

NAMES = dict(train=('train',), val=('val', 'validate'), test=('test',))


def csv_names(split: str) -> list[str]:
    prefixes = ('', 'kinetics_', 'kinetics400_', 'kinetics600_', 'kinetics-400_', 'kinetics-600_')
    return [f'{prefix}{name}.csv' for prefix in prefixes for name in NAMES[split]]


def archive_split(path: Path, download: Path) -> str:
    """The split whose name is the closest to the archive's among the folders it is in."""
    for part in reversed(path.relative_to(download).parts):
        for split, names in NAMES.items():
            if set(re.split('[^a-z]+', part.lower())) & set(names):
                return split
    raise ValueError(f'{path}: neither its name nor its folders say train, val or test')


def main() -> None:
    parser = preparation.parser(__doc__.splitlines()[0], 'data/kinetics400')
    parser.add_argument(
        '--keep-bad', action='store_true', help='keep lost clips in the lists of val and test'
    )
    args = parser.parse_args()
    for path in sorted((*args.download.rglob('*.tar.gz'), *args.download.rglob('*.tar'))):
        if (split := archive_split(path, args.download)) in args.splits:
            archives.unpack([path], args.out / f'videos_{split}', folder.VIDEOS, depth=1)
    paths = {s: folder.find(args.download, *csv_names(s), required=s != 'test') for s in NAMES}
    classes = annotations.read_kinetics_classes(paths['train'])
    dataset = f'kinetics{len(classes)}'
    splits = []
    for name, path in paths.items():
        if path and name in args.splits:
            clips = annotations.read_kinetics(path, None if name == 'test' else classes)
            list_name = f'{dataset}_{name}_list_videos.txt'
            root = args.out / f'videos_{name}'
            keep_bad = args.keep_bad and name != 'train'
            splits.append(folder.Split(name, clips, list_name, root, None, keep_bad))
    if len(classes) not in (400, 600):
        print(f'{paths["train"]}: {len(classes)} classes, expected 400 or 600')
    print(f'{len(classes)} classes in alphabetical order: 0 is {classes[0]!r}')
    whole = folder.write_videos(args.out, splits, classes, args.workers, args.subset)
    sys.exit(0 if whole else preparation.INCOMPLETE)


if __name__ == '__main__':
    run(main)
