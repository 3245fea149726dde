"""One run of the study: an arm, a data set and a seed; trained, tested, and never done twice."""

import fcntl
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from mmaction_emim.datasets.motion_shapes import DIFFICULTIES
from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.utils.config_variables import VARIABLES
from mmaction_emim.utils.files import write_text
from projects.motion_study import budget, flow
from projects.motion_study.arms import ARMS, REFERENCE, Arm
from projects.motion_study.data import CONTROLS, FORWARD, MIRRORED, SHIFTS, STILL, Data, Test
from projects.motion_study.processes import run_tool

CONFIGS = Path(__file__).with_name('configs')
WARM_UP = 9  # a ninth of the steps
LEFT_CHANCE = 0.9  # of the loss of a guess


class Run(NamedTuple):
    """An arm on a data set from a seed.

    Attributes:
        data: Data set of training and test.
        steps: Training steps; whole epochs are trained, at least one.
        long: The long test clips; None: no test but ``forward``.
        lr: Peak of the learning rate; None: the network's.
    """

    arm: Arm
    data: Data
    seed: int
    steps: int
    long: Data | None = None
    lr: float | None = None

    @property
    def epochs(self) -> int:
        return max(round(self.steps / self.data.steps_per_epoch), 1)

    @property
    def name(self) -> str:
        steps = self.epochs * self.data.steps_per_epoch
        rate = f'-lr{self.lr:g}' if self.lr else ''
        return f'{self.data.name}/{self.arm.key}/{steps}steps{rate}/seed{self.seed}'

    @property
    def tests(self) -> list[Test]:
        """More than one for the arms that the questions beyond accuracy are put to."""
        tests = [FORWARD._replace(order=self.arm.order)]
        if self.long and self.arm.name in (REFERENCE, 'global'):
            tests += CONTROLS
            # ResNetTSM and VisionTransformer are built for one number of frames.
            tests += SHIFTS if self.arm.network.startswith('uniformer') else ()
        return tests


def compose(run: Run) -> Config:
    """The run's whole config.

    Raises:
        ValueError: The arm cannot be given the reference's number of parameters.
    """
    cfg = _network(run.arm, run.data.num_classes)
    for name in VARIABLES:  # used already, and told otherwise below
        cfg.pop(name, None)
    target = _reference_parameters(run.arm.network, run.data.num_classes)
    cfg.study = dict(parameters=budget.fit(cfg.model, target), reference=target)
    for part, list_name in (('train', run.data.train), ('test', run.data.test)):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.data_root, dataset.ann_file = str(run.data.root), list_name
        dataset.num_classes = run.data.num_classes
        dataset.pipeline[1] = {**run.data.sampling, 'test_mode': part == 'test'}
        dataset.pipeline[2].order = run.arm.order
    steps = run.epochs * run.data.steps_per_epoch
    warm_up = max(steps // WARM_UP, 1)
    cfg.train_cfg.max_epochs = run.epochs
    cfg.param_scheduler[0].end = cfg.param_scheduler[1].begin = warm_up
    cfg.param_scheduler[1].update(end=max(steps, warm_up + 1), T_max=max(steps - warm_up, 1))
    if run.lr:
        cfg.optim_wrapper.optimizer.lr = run.lr
    cfg.default_hooks.checkpoint.interval = max(run.epochs // 3, 1)
    cfg.study.update(steps=steps)
    return cfg


@cache  # parsing takes longer than building the network
def _parsed(network: str) -> Config:
    return Config.fromfile(CONFIGS / f'{network}.py')


def _network(arm: Arm, num_classes: int) -> Config:
    cfg = deepcopy(_parsed(arm.network))
    cfg.merge_from_dict(dict(model=arm.model))
    if arm.swap:
        cfg.model.backbone = dict(type='MotionBackbone', backbone=cfg.model.backbone, **arm.swap)
    cfg.model.cls_head.num_classes = num_classes
    if num_classes < 5:
        cfg.model.cls_head.topk = (1,)
        cfg.test_evaluator.metric_options = dict(top_k_accuracy=dict(topk=(1,)))
    return cfg


@cache
def _reference_parameters(network: str, num_classes: int) -> int:
    arm = next(arm for arm in ARMS if (arm.network, arm.name) == (network, REFERENCE))
    return budget.num_parameters(_network(arm, num_classes).model)


def changed(cfg: Config, test: Test, run: Run) -> Config:
    """The config of a test."""
    cfg = deepcopy(cfg)
    dataset = cfg.test_dataloader.dataset
    if test.long:
        dataset.data_root, dataset.ann_file = str(run.long.root), run.long.test
    dataset.pipeline[1].update(test.sampling)
    dataset.pipeline[2].order = test.order
    dataset.pipeline[4].scale = test.scale
    return cfg


def measure(results: Sequence[dict[str, Any]], shapes: bool) -> dict[str, float]:
    """Shares of clips that are right.

    Args:
        results: From :func:`load_dump`; failed clips count as wrong.
        shapes: Whether classes are MotionShapes'.

    Returns:
        ``top1``, ``clips``, and for MotionShapes ``mirrored``: clips given the class that their
        own becomes when played backwards, and ``still``: clips given that class.
    """
    failed = torch.tensor([bool(result.get('failed')) for result in results])
    labels = torch.cat([result['gt_label'].flatten()[:1] for result in results])
    guesses = torch.stack([result['pred_score'] for result in results]).argmax(1)

    def share(right: Tensor) -> float:
        return round((right & ~failed).double().mean().item(), 4)

    metrics = dict(top1=share(guesses == labels), clips=len(results))
    if shapes:
        metrics['mirrored'] = share(guesses == torch.tensor(MIRRORED)[labels])
        metrics['still'] = share(guesses == STILL)
    return metrics


def left_chance(folder: Path, num_classes: int) -> int | None:
    """The step at which a training's loss first was below 0.9 of that of guessing, if ever.

    Args:
        folder: Work directory of the training.
        num_classes: Classes of the data set.
    """
    lines = (
        json.loads(line)
        for path in folder.glob('*/vis_data/scalars.json')
        for line in path.read_text().splitlines()
    )
    low = LEFT_CHANCE * math.log(num_classes)
    return min((line['step'] for line in lines if line.get('loss', low) < low), default=None)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds the lock and yields its descriptor; processes that inherit that hold the lock too."""
    with open(path, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f'{path.parent}: a study, or a training it left, is at it') from None
        yield file.fileno()


class RunExecutor:
    """Executes runs: trains, tests and reads each in a folder of its own.

    Args:
        out: Folder of all runs.
        threads: Threads of each training.
    """

    def __init__(self, out: Path, threads: int) -> None:
        self.out = out
        self.threads = threads

    def result_path(self, run: Run) -> Path:
        return self.out / 'runs' / run.name / 'result.json'

    def done(self, run: Run) -> dict[str, Any] | None:
        """The result, if the run was finished before and had every test that is asked for."""
        path = self.result_path(run)
        result = json.loads(path.read_text()) if path.exists() else {'tests': {}}
        return result if {test.name for test in run.tests} <= result['tests'].keys() else None

    def execute(self, run: Run) -> dict[str, Any]:
        """Train, test and read; what is done is not repeated, an interrupted training resumes.

        Raises:
            ValueError: The folder holds a run of another config.
            RuntimeError: A command failed; the message is its last line. Or another study, perhaps
                one that was killed and left its training, is at this run.
        """
        folder = self.result_path(run).parent
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / 'lock') as lock:
            return self._execute(run, folder, lock)

    def _execute(self, run: Run, folder: Path, lock: int) -> dict[str, Any]:
        cfg = compose(run)
        path = folder / 'config.py'
        if path.exists() and path.read_text() != cfg.pretty_text:
            raise ValueError(
                f'{folder}: holds a run of another config; delete it or give another --out'
            )
        write_text(path, cfg.pretty_text)
        if (result := self.done(run)) is not None:
            return result
        checkpoint = self._train(run, path, lock)
        result = dict(
            data=run.data.name,
            network=run.arm.network,
            arm=run.arm.name,
            seed=run.seed,
            lr=run.lr,
            **cfg.study,
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
            train_seconds=float((folder / 'done').read_text()),
            left_chance=left_chance(folder / 'train', run.data.num_classes),
            tests={test.name: self._test(run, test, cfg, checkpoint) for test in run.tests},
        )
        if run.long and run.arm.name == REFERENCE and run.arm.order == 'forward':
            result['flow'] = flow.read(cfg.model, checkpoint, run.seed)
        write_text(folder / 'result.json', json.dumps(result))
        return result

    def _train(self, run: Run, config: Path, lock: int) -> Path:
        folder, work = config.parent, config.parent / 'train'
        last = work / 'last_checkpoint'
        if not (folder / 'done').exists():
            start = time.time()
            resume = ['--resume'] if last.exists() else []
            arguments = [config, '--work-dir', work, '--seed', run.seed, *resume]
            self._run_tool(folder / 'train.log', lock, 'tools/train.py', *arguments)
            write_text(folder / 'done', f'{time.time() - start:.1f}')
        return Path(last.read_text().strip())

    def _test(self, run: Run, test: Test, cfg: Config, checkpoint: Path) -> dict[str, float]:
        folder = self.result_path(run).parent / 'tests' / test.name.replace(' ', '_')
        dump, config = folder / 'result.pkl', folder / 'config.py'
        if not dump.exists():
            cfg = changed(cfg, test, run)
            write_text(config, cfg.pretty_text)
            partial = folder / 'partial.pkl'
            cfg.merge_from_dict(
                dict(work_dir=str(folder), load_from=str(checkpoint), log_level='ERROR')
            )
            # A worker that outlives its test takes 5 s to end, within the next test.
            cfg.test_dataloader.persistent_workers = False
            cfg.test_evaluator = [
                cfg.test_evaluator,
                dict(type='DumpResults', out_file_path=str(partial)),
            ]
            # In this process: starting one takes longer than 300 clips of 64 x 64 pixels.
            with open(folder / 'test.log', 'w') as log, redirect_stdout(log):
                Runner.from_cfg(cfg).test()
            partial.rename(dump)
        return measure(load_dump(dump), shapes=run.data.name in DIFFICULTIES)

    def _run_tool(self, log: Path, lock: int, tool: str, *arguments: Any) -> None:
        with open(log, 'a') as output:
            code = run_tool(
                tool,
                *arguments,
                env={'OMP_NUM_THREADS': str(self.threads)},
                stdout=output,
                stderr=output,
                pass_fds=[lock],  # held as long as the tool lives, whatever becomes of us
            )
        if code:
            lines = [line for line in log.read_text().splitlines() if line.strip()]
            why = lines[-1].removeprefix('error: ') if lines else f'exit status {code}'
            raise RuntimeError(f'{why} ({log})')
