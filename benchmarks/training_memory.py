"""Memory, threads and open files of every process of a training, minute by minute.

    python benchmarks/training_memory.py --minutes 60

Trains the small EMIM network on generated MotionShapes with two decoding workers a loader, which
live as long as the training does, validates and keeps checkpoints on the way, and prints a table
of what each process held. Reads /proc: Linux only.
"""

import argparse
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/emim_motionshapes.py'


class Sample(NamedTuple):
    """What a process held at a time; PSS counts a page shared by n processes as 1/n."""

    seconds: float
    pid: int
    rss_mb: float
    pss_mb: float
    threads: int
    files: int


def descendants(pid: int) -> list[int]:
    """The process and all that it started, itself or by others, in the order of their numbers."""
    found = [pid]
    for parent in found:
        for task in Path(f'/proc/{parent}/task').glob('*/children'):
            found += [int(child) for child in task.read_text().split()]
    return [found[0], *sorted(found[1:])]


def sample(pid: int, seconds: float) -> Sample:
    """Raises OSError where the process has ended."""
    proc = Path(f'/proc/{pid}')
    rollup = (proc / 'smaps_rollup').read_text().splitlines()
    kilobytes = {line.split(':')[0]: int(line.split()[1]) for line in rollup[1:]}
    return Sample(
        round(seconds, 1),
        pid,
        kilobytes['Rss'] / 1000,
        kilobytes['Pss'] / 1000,
        len(os.listdir(proc / 'task')),
        len(os.listdir(proc / 'fd')),
    )


def watch(process: subprocess.Popen, seconds: float, interval: float) -> list[Sample]:
    """Samples of all its processes until ``seconds`` are over or it ends."""
    samples, start = [], time.monotonic()
    while (now := time.monotonic() - start) < seconds and process.poll() is None:
        try:
            samples += [sample(pid, now) for pid in descendants(process.pid)]
        except OSError:
            pass  # one ended in between
        time.sleep(interval)
    return samples


def table(samples: list[Sample], minutes: float) -> str:
    """A row a process that was there at the end: least to most in a twelfth of the time each."""
    at = [minutes / 6, minutes / 2, minutes]  # a trainer's memory rises and falls in every step
    head = ['process', *(f'RSS MB, minute {minute:.0f}' for minute in at)]
    head += ['PSS MB', 'threads', 'open files']
    lines = [f'| {" | ".join(head)} |', '|---' * len(head) + '|']
    pids = sorted({s.pid for s in samples if s.seconds == samples[-1].seconds})
    for number, pid in enumerate(pids):
        mine = [s for s in samples if s.pid == pid]
        windows = [
            [s for s in mine if minute - minutes / 12 <= s.seconds / 60 <= minute] for minute in at
        ]
        words = ['trainer' if not number else f'worker {number}']
        words += [span(s.rss_mb for s in window) for window in windows]
        words += [span(getattr(s, what) for s in windows[-1]) for what in Sample._fields[3:]]
        lines.append(f'| {" | ".join(words)} |')
    return '\n'.join(lines)


def span(values: Iterable[float]) -> str:
    numbers = sorted(map(round, values))
    return f'{numbers[0]} to {numbers[-1]}' if numbers else '-'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=60)
    parser.add_argument('--interval', type=float, default=10, help='seconds between samples')
    parser.add_argument('--clips', type=int, default=40, help='training clips a class')
    parser.add_argument('--csv', type=Path, help='write every sample here')
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        data = f'{folder}/motion_shapes'
        generate = ['tools/data/motion_shapes/generate.py', '--out', data]
        generate += ['--train', str(args.clips), '--test', '5']
        subprocess.run([sys.executable, *generate], cwd=ROOT, check=True)
        options = [f'data_root={data}', 'train_cfg.max_epochs=100000']
        for loader in ('train_dataloader', 'val_dataloader'):
            options += [f'{loader}.num_workers=2', f'{loader}.persistent_workers=True']
        train = ['tools/train.py', CONFIG, '--work-dir', f'{folder}/work', '--cfg-options']
        with open(f'{folder}/log', 'w') as log:
            process = subprocess.Popen(
                [sys.executable, *train, *options], cwd=ROOT, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            samples = watch(process, 60 * args.minutes, args.interval)
            ended = process.poll()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log = Path(folder, 'log').read_text().splitlines()
        if args.csv:
            with open(args.csv, 'w', newline='') as file:
                csv.writer(file).writerows([Sample._fields, *samples])
        if ended is not None:
            sys.exit('\n'.join([*log[-20:], f'the training ended by itself, status {ended}']))
        print(next(line for line in reversed(log) if 'Epoch(train)' in line))
        print(table(samples, args.minutes))


if __name__ == '__main__':
    main()
