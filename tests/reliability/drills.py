"""Trainings that are killed: after --resume their weights are those of the one that was not.

    python tests/reliability/drills.py --kills 50

makes the table of docs/reliability.md.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

import mmaction_emim  # noqa: F401  MMEngine's checkpoints load

ROOT = Path(__file__).resolve().parents[2]
TRAIN = str(ROOT / 'tools' / 'train.py')
STEPS, EPOCHS = 3, 4
SECONDS = 300  # that anything may take
PER_TRAINING = 8  # kills


class Variant(NamedTuple):
    """How a drill trains; 24 clips, 8 an optimizer step, four epochs or as many steps."""

    name: str
    processes: int = 1
    workers: int = 0
    ema: bool = False
    bf16: bool = False
    by_epoch: bool = True
    more: str = ''  # of its config

    def config(self, data: Path, folder: Path) -> Path:
        """Writes the config; the shipped one of MotionShapes, smaller."""
        path = folder / f'{self.name.replace(" ", "_")}.py'
        text = CONFIG.format(
            root=ROOT, data=data, v=self, batch=8 // self.processes, max_epochs=EPOCHS
        )
        if self.ema:
            text += "custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.1)]\n"
        if not self.by_epoch:
            text += BY_ITERATION.format(max_iters=STEPS * EPOCHS)
        path.write_text(text + self.more)
        return path


VARIANTS = (
    Variant('by epoch'),
    Variant('by epoch, EMA, two workers', workers=2, ema=True),
    Variant('by epoch, bf16', bf16=True),
    Variant('by iteration', by_epoch=False),
    Variant('by iteration, EMA, bf16, two workers', 1, 2, True, True, False),
    Variant('two processes, two workers', 2, 2),
    Variant('two processes, by iteration, EMA, bf16', 2, 0, True, True, False),
)

CONFIG = """
_base_ = '{root}/configs/emim_motionshapes.py'
model = dict(backbone=dict(drop_path_rate=0.2, spatial_stride=1))
__loader = dict(num_workers={v.workers}, persistent_workers=False, batch_size={batch})
train_dataloader = dict(**__loader, dataset=dict(data_root='{data}', ann_file='few_train.txt'))
val_dataloader = dict(**__loader, dataset=dict(data_root='{data}', ann_file='few_test.txt'))
test_dataloader = val_dataloader
max_epochs = {max_epochs}
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=max_epochs, T_max=max_epochs - 1,
        convert_to_iter_based=True),
]
default_hooks = dict(
    checkpoint=dict(interval=1, save_best='acc/top1', max_keep_ckpts=1), logger=dict(interval=1)
)
"""
BY_ITERATION = """
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters={max_iters}, val_interval=4)
train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True)
param_scheduler = [dict(type='CosineAnnealingLR', T_max={max_iters}, by_epoch=False)]
default_hooks['checkpoint'].update(by_epoch=False, interval=2)
log_processor = dict(by_epoch=False)
"""


class Server:
    """Starts trainings from one process that has imported everything."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('fork_server.py'))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        )

    def ask(self, **request: object) -> int | None:
        self.process.stdin.write(json.dumps(request) + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Job:
    """A training's processes, without a launcher."""

    def __init__(
        self, server: Server, variant: Variant, config: Path, work: Path, log: Path, *more: str
    ) -> None:
        self.server, self.work, self.log = server, work, log
        argv = [TRAIN, str(config), '--work-dir', str(work), '--seed', '3', *more]
        argv += ['--amp'] * variant.bf16
        environ: dict[str, str] = {}
        if variant.processes > 1:
            argv += ['--launcher', 'pytorch']
            environ = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
            environ.update(WORLD_SIZE=str(variant.processes))
        self.started = time.monotonic()
        self.status: dict[int, int | None] = {}
        for rank in range(variant.processes):
            ranked = environ and dict(environ, RANK=str(rank), LOCAL_RANK=str(rank))
            self.status[server.ask(argv=argv, log=str(self.log), environ=ranked)] = None

    def running(self) -> list[int]:
        for pid, status in self.status.items():
            if status is None:
                self.status[pid] = self.server.ask(poll=pid)
        return [pid for pid, status in self.status.items() if status is None]

    def wait(self, seconds: float = SECONDS) -> list[int]:
        """The statuses of all; what runs after ``seconds`` is killed, and that is an error."""
        deadline = time.monotonic() + seconds
        while left := self.running():
            if time.monotonic() > deadline:
                self.kill(*left)
                raise TimeoutError(f'{self.log}: {len(left)} processes after {seconds} s')
            time.sleep(0.01)
        return list(self.status.values())

    def gone(self, pids: list[int], seconds: float) -> bool:
        """Whether processes that are not ours to wait for end in time."""
        deadline = time.monotonic() + seconds
        while any(Path(f'/proc/{pid}').exists() for pid in pids):
            if time.monotonic() > deadline:
                self.kill(*pids)
                return False
            time.sleep(0.1)
        return True

    def kill(self, *pids: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def reached(self, moment: Callable[[], bool], pause: float = 0.0) -> bool:
        """Wait until ``moment()``; False where the training has ended before."""
        looked = time.monotonic()
        while not moment():
            if time.monotonic() - looked > 0.05:
                looked = time.monotonic()
                if not self.running():
                    return False
                if looked - self.started > SECONDS:
                    raise TimeoutError(f'{self.log}: did not come to the moment')
            time.sleep(pause)
        return True


def session(pid: int) -> list[int]:
    """The processes of ``pid``'s session, itself among them."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        with suppress(ProcessLookupError):
            if os.getsid(int(folder.name)) == pid:
                found.append(int(folder.name))
    return found


def free_port() -> str:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


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


def state(work: Path) -> dict[str, torch.Tensor]:
    """All tensors of the last checkpoint, by their place in it, and the best checkpoint's name."""
    path = Path((work / 'last_checkpoint').read_text())
    checkpoint = torch.load(path, weights_only=True)
    found = {f'{path.name}: {best.name}': torch.ones(1) for best in work.glob('best*.pth')}
    for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        found.update(_tensors(checkpoint.get(part, {}), part))
    return found


def _tensors(value: object, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _tensors(part, f'{place}.{key}')
    elif isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, int | float):
        yield place, torch.tensor(float(value), dtype=torch.float64)


def differences(work: Path, whole: dict[str, torch.Tensor]) -> list[str]:
    ours = state(work)
    return [
        key
        for key in {*ours, *whole}
        if key not in ours or key not in whole or not torch.equal(ours[key], whole[key])
    ]


class Result(NamedTuple):
    """What one drill gave: how often it was tried, what was lost, and how long it took."""

    drill: str
    tried: int
    lost: list[str]
    seconds: float


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

    def start(self, variant: Variant, work: Path, *more: str, data: Path | None = None) -> Job:
        """``more`` are arguments of tools/train.py."""
        self.count += 1
        config = variant.config(data or self.data, self.folder)
        log = self.folder / f'{self.count}.log'
        return Job(self.server, variant, config, work, log, *more)

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
        self, name: str, variant: Variant, times: int, moment: Callable[[Job], bool] | None = None
    ) -> Result:
        """Kill at ``moment``, resume, kill again; each time that training ends, compare.

        Args:
            name: For the table.
            variant: How to train.
            times: Kills in all.
            moment: Waits for it; random moments where None. One of several processes is killed.
        """
        started, kills, lost = time.monotonic(), 0, []
        whole, length = self.uninterrupted(variant)
        while kills < times:
            work = self.folder / f'killed_{self.count}'
            for _ in range(min(PER_TRAINING, times - kills)):
                job = self.start(variant, work, '--resume')
                in_time = moment or after(self.random.uniform(0, length))
                victims = in_time(job) and job.running()
                if victims:
                    job.kill(self.random.choice(victims))
                    kills += 1
                statuses = job.wait()
                if not victims:
                    break
            else:
                statuses = self.start(variant, work, '--resume').wait()
            if any(statuses):
                lost.append(f'{work}: --resume ended with {statuses}')
            elif different := differences(work, whole):
                lost.append(f'{work}: {len(different)} differ, such as {different[0]}')
        return Result(name, kills, lost, time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description='Kills trainings and resumes them.')
    parser.add_argument('--kills', type=int, default=50, help='at random moments, in all')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / 'data'
        generate(data)
        server = Server()
        drills = Drills(server, data, Path(folder), args.seed)
        print('| drill | tried | survived | lost | seconds |\n|---|---|---|---|---|')
        for result in all_drills(drills, args.kills):
            for sentence in result.lost:
                print(sentence, file=sys.stderr)
            survived = result.tried - len(result.lost)
            row = result.drill, result.tried, survived, len(result.lost), f'{result.seconds:.0f}'
            print(f'| {" | ".join(map(str, row))} |', flush=True)
        server.close()


def generate(data: Path) -> None:
    """MotionShapes of 48 clips to train and 24 to test, 32 x 32."""
    tool = ROOT / 'tools' / 'data' / 'motion_shapes' / 'generate.py'
    sizes = ['--train', '4', '--test', '2', '--size', '32', '--frames', '24']
    subprocess.run([sys.executable, tool, '--out', data, *sizes], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def all_drills(drills: Drills, kills: int) -> Iterator[Result]:
    """Kills at random moments are shared out; the other moments have a fifth as many each."""
    for i, variant in enumerate(VARIANTS):
        share = (kills + i) // len(VARIANTS)
        yield drills.kill(f'`kill -9` at random: {variant.name}', variant, share)
    for name, moment in MOMENTS.items():
        for variant in (VARIANTS[0], VARIANTS[3]):
            yield drills.kill(f'{name}, {variant.name}', variant, kills // 10, moment)


if __name__ == '__main__':
    main()
