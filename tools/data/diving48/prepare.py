#!/usr/bin/env python
"""Diving48 V2: from the official files to MMAction2's lists. See README.md."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import sys
from pathlib import Path

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.prepare import archives, folder
from mmaction_emim.utils.command_line import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script finds its own folder only
import preparation

PUBLISHED = dict(train=15_027, val=1_970)
FILES = dict(train='train', val='test')  # the official test split is what everybody reports


def main() -> None:
    parser = preparation.parser(__doc__.splitlines()[0], 'data/diving48')
    args = parser.parse_args()
    videos = args.out / 'videos'
    if archive := folder.find(args.download, 'Diving48_rgb.tar.gz', required=False):
        archives.unpack([archive], videos, folder.VIDEOS, depth=1)
    classes = annotations.read_diving48_classes(folder.find(args.download, 'Diving48_vocab.json'))
    splits = []
    for name, file in FILES.items():
        path = folder.find(args.download, f'Diving48_V2_{file}.json')
        if name in args.splits:
            clips = annotations.read_diving48(path, classes)
            list_name = f'diving48_{name}_list_videos.txt'
            keep_bad = name == 'val'
            splits.append(folder.Split(name, clips, list_name, videos, PUBLISHED[name], keep_bad))
    print(f'{len(classes)} classes, labels as in Diving48_vocab.json: 0 is {classes[0]!r}')
    whole = folder.write_videos(args.out, splits, classes, args.workers, args.subset)
    sys.exit(0 if whole else preparation.INCOMPLETE)


if __name__ == '__main__':
    run(main)
