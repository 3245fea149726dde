"""Test a list of (config, checkpoint) and write leaderboard.md, leaderboard.csv, leaderboard.png.

    python tools/leaderboard.py runs.yml --out work_dirs/leaderboard --processes 8

runs.yml:

    - config: configs/emim_sthv2.py
      checkpoint: work_dirs/emim_sthv2/epoch_50.pth
      name: EMIM-S                                  # the row; default: the config's name
      cfg_options: {model.cls_head.average_clips: prob}

A test that is done is not run again while its config, options and checkpoint stay the same. One
that fails is listed in leaderboard.md, the others go on, and the exit status is 1.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from mmengine.config import DictAction

from mmaction_emim.apis import cost
from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.evaluation.leaderboard import (
    Entry,
    Row,
    csv_text,
    markdown,
    measure,
    plot,
    read_entries,
    read_published,
)
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.utils.files import write_text

ROOT = Path(__file__).resolve().parents[1]


def test(entry: Entry, work: Path, processes: int) -> Row:
    """Run tools/test.py unless it was run on the same before; what it prints goes to test.log.

    Raises:
        RuntimeError: The test failed; the message is its last line.
    """
    cfg = read_config(entry.config)
    cfg.merge_from_dict(_parsed(entry.options))
    stat = entry.checkpoint.stat()
    asked = f'{cfg.pretty_text}\n{entry.checkpoint.resolve()} {stat.st_size} {stat.st_mtime_ns}'
    key, done = hashlib.sha256(asked.encode()).hexdigest(), work / 'tested'
    dump = work / 'result.pkl'
    if not (done.exists() and done.read_text() == key and dump.exists()):
        done.unlink(missing_ok=True)
        command = [sys.executable, str(ROOT / 'tools' / 'test.py')]
        if processes > 1:
            command = ['bash', str(ROOT / 'tools' / 'dist_test.sh')]
        command += [str(entry.config), str(entry.checkpoint)]
        command += [str(processes)] if processes > 1 else []
        command += ['--work-dir', str(work), '--dump', str(dump)]
        command += ['--cfg-options', *entry.options] if entry.options else []
        work.mkdir(parents=True, exist_ok=True)
        with open(work / 'test.log', 'w') as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        if code:
            lines = (work / 'test.log').read_text().splitlines()
            errors = [line for line in lines if line.startswith('error: ')]
            why = (errors or lines or [f'exit status {code}'])[-1].removeprefix('error: ')
            raise RuntimeError(f'{why} ({work / "test.log"})')
    row = measure(entry.name, cfg, load_dump(dump), *cost(cfg))
    write_text(done, key)
    return row


def _parsed(options: tuple[str, ...]) -> dict:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *options]).cfg_options


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', type=Path, help='YAML list, see above')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/leaderboard'))
    parser.add_argument('--processes', type=int, default=1, help='GPUs of a test; default 1')
    parser.add_argument(
        '--published',
        type=Path,
        default=ROOT / 'configs' / 'published.yml',
        help="YAML list of others' results",
    )
    args = parser.parse_args()
    published = read_published(args.published)
    rows, failures = [], {}
    for entry in read_entries(args.runs):
        print(f'{entry.name} …', flush=True)
        try:
            rows.append(test(entry, args.out / entry.name, args.processes))
        except Exception as error:  # the others go on
            failures[entry.name] = str(error)
            print(f'{entry.name}: {error}', file=sys.stderr, flush=True)
    write_text(args.out / 'leaderboard.md', markdown(rows, published, failures))
    write_text(args.out / 'leaderboard.csv', csv_text(rows))
    if rows:
        plot(rows, published, args.out / 'leaderboard.png')
    print((args.out / 'leaderboard.md').read_text())
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    run(main)
