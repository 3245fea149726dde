"""Accuracy by class and by motion, from a dump of tools/test.py --dump.

python tools/analysis_tools/class_accuracy.py result.pkl data/sthv2/label_map.txt --out work_dirs/x
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmaction_emim.datasets.annotations import read_labels
from mmaction_emim.evaluation.class_report import report_on
from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.utils.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('dump', type=Path)
    parser.add_argument('label_map', type=Path)
    parser.add_argument('--out', type=Path, help='folder for classes.txt and classes.png')
    args = parser.parse_args()
    report = report_on(load_dump(args.dump), read_labels(args.label_map))
    print(report.text())
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / 'classes.txt').write_text(report.text(), encoding='utf-8')
        report.plot(args.out / 'classes.png')


if __name__ == '__main__':
    run(main)
