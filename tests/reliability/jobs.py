"""Trainings of seconds as real processes: how they train, how they are started and watched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import torch

import mmaction_emim  # noqa: F401

# isort: split
import mmengine.logging  # noqa: F401  what MMEngine's checkpoints hold is then known to be safe

from mmaction_emim.engine.work_dir_lock import read_note

from ..ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TRAIN = str(ROOT / 'tools' / 'train.py')
STEPS, EPOCHS = 3, 4
SECONDS = 300  # that anything may take


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
        if not path.exists() or path.read_text() != text + self.more:
            path.write_text(text + self.more)  # else a job that is restarted may be reading it
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
        self,
        server: Server,
        variant: Variant,
        config: Path,
        work: Path,
        log: Path,
        *more: str,
        **environ: str,
    ) -> None:
        self.server, self.work, self.log = server, work, log
        argv = [TRAIN, str(config), '--work-dir', str(work), '--seed', '3', *more]
        argv += ['--amp'] * variant.bf16
        if variant.processes > 1:
            argv += ['--launcher', 'pytorch']
            environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
            environ.update(WORLD_SIZE=str(variant.processes))
        self.started = time.monotonic()
        self.status: dict[int, int | None] = {}
        for rank in range(variant.processes):
            ranked = environ and {'RANK': str(rank), 'LOCAL_RANK': str(rank), **environ}
            self.status[server.ask(argv=argv, log=str(self.log), environ=ranked)] = None

    def connected(self) -> bool:
        """Whether its processes have found each other: then the first takes the folder."""
        return read_note(self.work).get('pid') in self.status

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
        while any(map(_runs, pids)):
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


class Launched:
    """``dist_train.sh`` of one node, and all processes that come of it."""

    def __init__(
        self, config: Path, work: Path, processes: int, *more: str, **environ: str
    ) -> None:
        self.work, self.log = (
            work,
            work.with_name(f'{work.name}_{len(os.listdir(work.parent))}.log'),
        )
        self.mark = f'DRILL={uuid4()}'
        name, value = self.mark.split('=')
        environ = {
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}:/usr/bin:/bin',
            'PYTHONPATH': str(ROOT),
            'OMP_NUM_THREADS': '1',
            'PORT': free_port(),
            name: value,
            **environ,
        }
        tool = str(ROOT / 'tools' / 'dist_train.sh')
        argv = [tool, config, str(processes), '--work-dir', work, '--seed', '3', *more]
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, env=environ, cwd=ROOT, start_new_session=True
            )

    def pids(self) -> list[int]:
        """All that run, by the variable that they inherit."""
        found = []
        for folder in Path('/proc').glob('[0-9]*'):
            with suppress(OSError):
                if self.mark.encode() in (folder / 'environ').read_bytes():
                    found.append(int(folder.name))
        return found

    def rank(self, rank: int) -> int:
        """The process of that rank; workers have its session."""
        for pid in self.pids():
            with suppress(OSError):
                environ = Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
                if f'RANK={rank}'.encode() in environ and os.getsid(pid) == pid:
                    return pid
        raise LookupError(f'no rank {rank}: {self.log.read_text()[-2000:]}')

    def until(self, moment: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not moment():
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def until_step(self, step: int) -> None:
        """Until so many steps are in the log; 0 is while it starts."""
        deadline = time.monotonic() + SECONDS
        while self.text().count('(train) [') < step or not self.started():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f'no step {step}: {self.text()[-2000:]}')
            time.sleep(0.05)

    def started(self) -> bool:
        with suppress(LookupError):
            return bool(self.rank(0) and self.rank(1))
        return False

    def text(self) -> str:
        return self.log.read_text()

    def wait(self, seconds: float = SECONDS) -> int:
        return self.process.wait(seconds)

    def kill(self, *pids: int) -> None:
        for pid in pids or self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while left := [pid for pid in self.pids() if pid != self.process.pid]:
            if time.monotonic() > deadline:
                self.kill(*left)
                return False
            time.sleep(0.1)
        return True


def _runs(pid: int) -> bool:
    """False where it is over, though nobody has taken its status yet."""
    with suppress(OSError):
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    return False


def session(pid: int) -> list[int]:
    """The processes of ``pid``'s session, itself among them."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        with suppress(ProcessLookupError):
            if os.getsid(int(folder.name)) == pid:
                found.append(int(folder.name))
    return found


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
