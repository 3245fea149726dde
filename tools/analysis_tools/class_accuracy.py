"""Results by class, from a dump of tools/test.py --dump: accuracy, confusions and their clips.

python tools/analysis_tools/class_accuracy.py result.pkl data/sthv2/label_map.txt --out work_dirs/x

Of clips with several labels: average precision, and precision and recall at a threshold.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmaction_emim.datasets.annotations import read_labels
from mmaction_emim.evaluation.class_page import write_report
from mmaction_emim.evaluation.class_report import report_on
from mmaction_emim.evaluation.dump import has_several_labels, load_dump
from mmaction_emim.evaluation.multi_label_report import multi_label_report_on
from mmaction_emim.utils.command_line import run

NO_LINKS = 'clips are no links without --clips, the folder that the paths in the list start from'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dump', type=Path)
    parser.add_argument('label_map', type=Path)
    parser.add_argument(
        '--out', type=Path, help='folder for classes.html, classes.txt and the pictures'
    )
    parser.add_argument(
        '--clips', type=Path,
        help="folder of the test's clips, to link to (default: the label map's, if they are there)",
    )  # fmt: skip
    parser.add_argument(
        '--threshold', type=float, help='probability of a class that is there (default: 0.5)'
    )
    args = parser.parse_args()
    results, names = load_dump(args.dump), read_labels(args.label_map)
    if has_several_labels(results):
        report = multi_label_report_on(
            results, names, 0.5 if args.threshold is None else args.threshold
        )
    elif args.threshold is not None:
        raise ValueError(f'--threshold is for clips with several labels, {args.dump} has one each')
    else:
        report = report_on(results, names)
    print(report.text())
    clips = args.clips or args.label_map.parent
    if args.clips and not args.clips.is_dir():
        raise FileNotFoundError(f'--clips: {args.clips}: no such folder')
    if args.clips and not args.out:
        raise ValueError('--clips is for the links of a page, which --out writes')
    if args.out:
        there = bool(args.clips) or (clips / results[0].get('video_id', '?')).exists()
        write_report(report, args.out, clips if there else None)
        print(args.out / 'classes.html' if there else f'{args.out / "classes.html"}: {NO_LINKS}')


if __name__ == '__main__':
    run(main)
