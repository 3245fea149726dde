"""Trainings that are killed: after --resume their weights are those of the one that was not.

    python -m tests.reliability.drills --kills 50

makes the table of docs/reliability.md.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from .jobs import EPOCHS, ROOT, STEPS, VARIANTS, Job, Launched, Server, Variant, differences, state

PER_TRAINING = 8  # kills


def after(seconds: float) -> Callable[[Job], bool]:
    """A moment: so many seconds after the start."""

    def reached(job: Job) -> bool:
        until = time.monotonic() + seconds
        return job.reached(lambda: time.monotonic() > until, 0.001)

    return reached


def writing(job: Job) -> bool:
    """A moment: a checkpoint is being written."""
    return job.reached(lambda: any(job.work.glob('*.pth.part')))


def written(job: Job) -> bool:
    """A moment: a checkpoint has taken its name, and ``last_checkpoint`` is the former one's."""
    before = set(job.work.glob('*.pth'))
    return job.reached(lambda: not set(job.work.glob('*.pth')) <= before)


def validating(job: Job) -> bool:
    """A moment: in a validation."""
    return job.reached(lambda: job.log.exists() and b'(val) [' in job.log.read_bytes(), 0.002)


MOMENTS = {
    'in the write of a checkpoint': writing,
    'between a checkpoint and `last_checkpoint`': written,
    'in a validation': validating,
}


class Result(NamedTuple):
    """How often a drill was tried, and a sentence for each time that something was lost."""

    tried: int
    lost: list[str]


class Drills:
    """Trainings in ``folder`` on ``data``."""

    def __init__(self, server: Server, data: Path, folder: Path, seed: int = 0) -> None:
        self.server, self.data, self.folder = server, data, folder
        for split in ('train', 'test'):
            lines = (data / f'{split}.txt').read_text().splitlines(keepends=True)
            (data / f'few_{split}.txt').write_text(''.join(lines[::2]))
        self.random = random.Random(seed)
        self.whole: dict[Variant, tuple[dict[str, torch.Tensor], float]] = {}
        self.count = 0

    def start(
        self, variant: Variant, work: Path, *more: str, data: Path | None = None, **environ: str
    ) -> Job:
        """``more`` are arguments of tools/train.py."""
        self.count += 1
        config = variant.config(data or self.data, self.folder)
        log = self.folder / f'{self.count}.log'
        return Job(self.server, variant, config, work, log, *more, **environ)

    def uninterrupted(self, variant: Variant) -> tuple[dict[str, torch.Tensor], float]:
        """Its state at the end, and how long it took."""
        if variant not in self.whole:
            work = self.folder / variant.name.replace(' ', '_')
            job = self.start(variant, work)
            if any(job.wait()):
                raise RuntimeError(job.log.read_text()[-3000:])
            self.whole[variant] = state(work), time.monotonic() - job.started
        return self.whole[variant]

    def kill(
        self, variant: Variant, times: int, moment: Callable[[Job], bool] | None = None
    ) -> Result:
        """Kill at ``moment``, resume, kill again; each time that training ends, compare.

        Args:
            variant: How to train.
            times: Kills in all.
            moment: Waits for it; random moments where None. One of several processes is killed.
        """
        kills, lost = 0, []
        whole, length = self.uninterrupted(variant)
        while kills < times:
            work = self.folder / f'killed_{self.count}'
            for _ in range(min(PER_TRAINING, times - kills)):
                job = self.start(variant, work, '--resume')
                in_time = moment or after(self.random.uniform(0, length))
                victims = in_time(job) and job.running()
                if victims:
                    one = self.random.choice(victims)
                    # Only a launcher would end the others before they have found each other.
                    job.kill(*([one] if job.connected() else victims))
                    kills += 1
                statuses = job.wait()
                if not victims:
                    length = min(length, time.monotonic() - job.started)  # the machine is faster
                    break
            else:
                statuses = self.start(variant, work, '--resume').wait()
            if any(statuses):
                lost.append(f'{work}: --resume ended with {statuses}')
            elif different := differences(work, whole):
                lost.append(f'{work}: {len(different)} differ, such as {different[0]}')
        return Result(kills, lost)

    def kill_launched(self, times: int, launcher: bool) -> Result:
        """Kill torchrun, and resume; or kill one of its processes, and see it restart them."""
        variant, lost = Variant('two processes', processes=2), []
        whole, _ = self.uninterrupted(variant)
        for _ in range(times):
            work = self.folder / f'launched_{len(list(self.folder.iterdir()))}'
            config = variant.config(self.data, self.folder)
            job = Launched(config, work, 2, *([] if launcher else ['--max-restarts', '1']))
            job.until_step(self.random.randrange(STEPS * EPOCHS))
            job.kill(job.process.pid if launcher else job.rank(self.random.randrange(2)))
            status = job.wait()
            if launcher and not job.gone(60):  # seconds; what still imports ends after that
                lost.append(f'{work}: processes went on')
            elif not launcher and status:
                lost.append(f'{work}: ended with {status}')
            elif launcher and any(self.start(variant, work, '--resume').wait()):
                lost.append(f'{work}: was not resumed')
            elif different := differences(work, whole):
                lost.append(f'{work}: {len(different)} differ, such as {different[0]}')
        return Result(times, lost)


def main() -> None:
    parser = argparse.ArgumentParser(description='Kills trainings and resumes them.')
    parser.add_argument('--kills', type=int, default=50, help='at random moments, in all')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', default='', help='drills whose name this expression is in')
    args = parser.parse_args()
    rows: list[tuple[int, int, int, int]] = []
    print('| drill | tried | survived | lost | seconds |\n|---|---|---|---|---|', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / 'data'
        generate(data)
        server = Server()
        drills = Drills(server, data, Path(folder), args.seed)
        for name, drill in all_drills(drills, args.kills).items():
            if not re.search(args.only, name):
                continue
            started = time.monotonic()
            tried, lost = drill()
            for sentence in lost:
                print(sentence, file=sys.stderr)
            rows.append((tried, tried - len(lost), len(lost), round(time.monotonic() - started)))
            print(f'| {name} | {" | ".join(map(str, rows[-1]))} |', flush=True)
        print(
            f'| together | {" | ".join(str(sum(column)) for column in zip(*rows, strict=True))} |'
        )
        server.close()


def generate(data: Path) -> None:
    """MotionShapes of 48 clips to train and 24 to test, 32 x 32."""
    tool = ROOT / 'tools' / 'data' / 'motion_shapes' / 'generate.py'
    sizes = ['--train', '4', '--test', '2', '--size', '32', '--frames', '24']
    command = [sys.executable, tool, '--out', data, *sizes]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def all_drills(drills: Drills, kills: int) -> dict[str, Callable[[], Result]]:
    """Kills at random moments are shared out; the other drills have a tenth as many each."""
    found: dict[str, Callable[[], Result]] = {}
    for i, variant in enumerate(VARIANTS):
        share = (kills + i) // len(VARIANTS)
        found[f'at random: {variant.name}'] = partial(drills.kill, variant, share)
    few = max(kills // 10, 1)
    for name, moment in MOMENTS.items():
        for variant in (VARIANTS[0], VARIANTS[3]):
            found[f'{name}: {variant.name}'] = partial(drills.kill, variant, few, moment)
    found['the launcher of two processes'] = partial(drills.kill_launched, few, True)
    restarts = partial(drills.kill_launched, few, False)
    found['one of two processes, `--max-restarts 1`, not resumed by hand'] = restarts
    return found


if __name__ == '__main__':
    main()
