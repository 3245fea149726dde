"""Files for the test servers of Something-Something and Kinetics, from a dump of tools/test.py.

python tools/submission.py write result.pkl --label-map data/sthv2/label_map.txt \\
    --test-list data/sthv2/sthv2_test_list_videos.txt --out submission.csv
python tools/submission.py check submission.csv --label-map … --test-list …
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmaction_emim.datasets.annotations import read_labels
from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.evaluation.submission import (
    SERVERS,
    check_submission,
    read_test_list,
    submission,
)
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    write = commands.add_parser('write', help='from a dump to a file, which is then checked')
    write.add_argument('dump', type=Path)
    write.add_argument('--out', type=Path, required=True)
    check = commands.add_parser('check', help='compare a file with the test list')
    check.add_argument('submission', type=Path)
    for command in (write, check):
        command.add_argument('--label-map', type=Path, required=True)
        command.add_argument(
            '--test-list', type=Path, required=True, help='official json or csv, or prepared txt'
        )
        command.add_argument('--server', choices=SERVERS, default='something')
    args = parser.parse_args()

    names, clips = read_labels(args.label_map), read_test_list(args.test_list, args.server)
    path = args.submission if args.command == 'check' else args.out
    if args.command == 'write':
        text = submission(load_dump(args.dump), names, args.server)
        path = path.with_name(path.name + '.unchecked')
        write_text(path, text)
    check_submission(path, set(clips), names, args.server)
    if args.command == 'write':
        path = path.replace(args.out)
    print(f'{path}: {len(clips)} clips, complete')


if __name__ == '__main__':
    run(main)
