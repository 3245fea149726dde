"""Accuracy by class and by motion, from a dump of tools/test.py --dump; open your own dumps only.

python tools/analysis_tools/class_accuracy.py result.pkl data/sthv2/label_map.txt --out work_dirs/x
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmengine.fileio import load

from mmaction_emim.apis.command_line import run
from mmaction_emim.apis.prepare.annotations import read_labels
from mmaction_emim.evaluation.class_report import report_on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('dump')
    parser.add_argument('label_map', type=Path)
    parser.add_argument('--out', type=Path, help='folder for classes.txt and classes.png')
    args = parser.parse_args()
    report = report_on(load(args.dump), read_labels(args.label_map))
    print(report.text())
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / 'classes.txt').write_text(report.text(), encoding='utf-8')
        report.plot(args.out / 'classes.png')


if __name__ == '__main__':
    run(main)
