"""Label maps: what a mirror swaps, and lists from one order of labels to another.

python tools/data/labels.py flip-map data/sthv2/label_map.txt
python tools/data/labels.py convert LIST --from label_map.txt --to other.txt --out LIST2
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmaction_emim.datasets.annotations import AnnotationError, read_labels
from mmaction_emim.datasets.motion_groups import flip_label_map
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.files import read_text, write_text


def convert(path: Path, old: list[str], new: list[str]) -> str:
    """The list ``path`` with the last column, labels in ``old``, as labels in ``new``.

    Raises:
        AnnotationError: A line has no label of ``old``; the message gives file and line.
        ValueError: The two orders are not of the same names.
    """
    if set(old) != set(new):
        raise ValueError(f'the label maps differ: {min(set(old) ^ set(new))!r} is in one only')
    order = [new.index(name) for name in old]
    lines = []
    for number, line in enumerate(read_text(path, AnnotationError).splitlines(), start=1):
        start, _, label = line.strip().rpartition(' ')
        if not (label.isascii() and label.isdigit() and start) or int(label) >= len(order):
            raise AnnotationError(
                f'{path}:{number}: expected a label of 0 to {len(order) - 1} at its end, '
                f'got {line!r}'
            )
        lines.append(f'{start} {order[int(label)]}\n')
    return ''.join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    flip = commands.add_parser('flip-map', help="print what Flip's flip_label_map must be")
    flip.add_argument('label_map', type=Path, help='label_map.txt, labels.csv or labels.json')
    other = commands.add_parser('convert', help='rewrite a list for another order of labels')
    other.add_argument('list', type=Path)
    other.add_argument('--from', dest='old', type=Path, required=True, help="the list's label map")
    other.add_argument('--to', dest='new', type=Path, required=True, help='the other label map')
    other.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    if args.command == 'flip-map':
        print(f'flip_label_map = {flip_label_map(read_labels(args.label_map))}')
    else:
        write_text(args.out, convert(args.list, read_labels(args.old), read_labels(args.new)))
        print(f'{args.out}: labels as in {args.new}')


if __name__ == '__main__':
    run(main)
