#!/usr/bin/env python
"""Something-Something V2: from the official files to MMAction2's lists. See README.md."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import sys
from pathlib import Path

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.prepare import archives, folder
from mmaction_emim.utils.command_line import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script finds its own folder only
import preparation

PUBLISHED = dict(train=168_913, val=24_777, test=27_157)
FILES = dict(train='train', val='validation', test='test')


def official(name: str) -> tuple[str, str]:
    return f'something-something-v2-{name}.json', f'{name}.json'


def main() -> None:
    parser = preparation.parser(__doc__.splitlines()[0], 'data/sthv2')
    args = parser.parse_args()
    videos = args.out / 'videos'
    if parts := archives.find_parts(args.download, r'20bn-something-something-v2-(\d\d)'):
        archives.unpack(parts, videos, {'.webm'}, depth=1)
    classes = annotations.read_labels(folder.find(args.download, *official('labels')))
    splits = []
    for name, file in FILES.items():
        path = folder.find(args.download, *official(file), required=name != 'test')
        if path and name in args.splits:
            clips = annotations.read_sthv2(path, None if name == 'test' else classes)
            list_name = f'sthv2_{name}_list_videos.txt'
            keep_bad = name != 'train'
            splits.append(folder.Split(name, clips, list_name, videos, PUBLISHED[name], keep_bad))
    print(f'{len(classes)} classes, labels as in labels.json: 0 is {classes[0]!r}')
    whole = folder.write_videos(
        args.out, splits, classes, args.workers, args.subset, suffix='.webm'
    )
    sys.exit(0 if whole else preparation.INCOMPLETE)


if __name__ == '__main__':
    run(main)
