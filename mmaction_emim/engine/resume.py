"""What a training may be resumed from, and whether it still is the same training."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmaction_emim.utils.checkpoint_damage import check_whole, damage
from mmaction_emim.utils.plain_config import read_plain_config

ON_CHANGE = ('refuse', 'keep', 'rescale')
CHECKPOINT = re.compile(r'(?:epoch|iter)_\d+\.pth')
WATCHED = (  # Config keys on which the schedule of a training depends
    'train_cfg.max_epochs',
    'train_cfg.max_iters',
    'train_dataloader.batch_size',
    'train_dataloader.dataset.ann_file',
    'train_dataloader.dataset.num_repeats',
    'optim_wrapper.accumulative_counts',
    'optim_wrapper.optimizer.lr',
    'param_scheduler',
)


def choose_checkpoint(cfg: Config, restarted: bool = False, earlier: list = ()) -> list[str]:
    """Set ``load_from`` of a training to the newest whole checkpoint, where it is to be resumed.

    Args:
        cfg: With ``resume``, ``load_from`` and ``work_dir``; changed in place.
        restarted: Resume whatever ``cfg`` says, if there is a checkpoint; else begin as it says.
        earlier: Checkpoints of another training, which are left alone; see :func:`stamps`.

    Returns:
        What was passed over, and why, a sentence each.

    Raises:
        ValueError: ``load_from`` is damaged, or there are checkpoints and none is whole.
    """
    work_dir = Path(cfg.work_dir) if 'work_dir' in cfg else Path()
    if restarted:
        path, passed = newest_whole(work_dir, earlier)
        if path:
            cfg.resume, cfg.load_from = True, str(path)
            return ['the job was restarted', *(passed or [f'resuming from {path}'])]
    if cfg.get('load_from'):
        check_whole(cfg.load_from)
    elif cfg.get('resume'):
        path, passed = newest_whole(work_dir)
        cfg.load_from = path and str(path)
        return passed
    return []


def newest_whole(work_dir: Path, earlier: list = ()) -> tuple[Path | None, list[str]]:
    """The checkpoint that ``last_checkpoint`` names or, if it is none, the newest whole one.

    Args:
        work_dir: Folder of the training.
        earlier: What to leave out, as :func:`stamps` gives it.

    Returns:
        Its path, None where the folder holds no checkpoint; and what was passed over.

    Raises:
        ValueError: There are checkpoints, and none is whole.
    """
    saved = sorted(_saved(work_dir), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    saved = [path for path in saved if _stamp(path) not in earlier]
    pointer, passed = work_dir / 'last_checkpoint', []
    named = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    if named:
        if _stamp(Path(named)) not in earlier:
            saved.insert(0, Path(named))
    elif saved:
        passed.append(f'{pointer} names no checkpoint')
    for path in saved:
        if problem := damage(path):
            passed.append(f'{path} {problem}')
            continue
        return path, passed and [*passed, f'resuming from {path}']
    if saved:
        raise ValueError(
            f'{work_dir}: no checkpoint is whole: {"; ".join(passed)}; without --resume the '
            'training starts anew'
        )
    return None, [f'{work_dir} holds no checkpoint: the training starts anew']


def stamps(work_dir: Path) -> list[list]:
    """Name and time of the folder's checkpoints, by which others than these are known."""
    return [_stamp(path) for path in _saved(work_dir)]


def _stamp(path: Path) -> list:
    return [path.name, path.stat().st_mtime_ns if path.is_file() else 0]


def _saved(work_dir: Path) -> Iterator[Path]:
    for path in work_dir.glob('*.pth'):
        if CHECKPOINT.fullmatch(path.name):
            yield path


@HOOKS.register_module()
class SameTrainingHook(Hook):
    """Looks, when a training is resumed, whether its settings are still the checkpoint's.

    MMEngine restores the old schedule, whatever the config says now: with more epochs or another
    number of steps an epoch, rates would end flat, or never come down. Compared are the configs
    (``WATCHED``) and the steps of an epoch, in which the number of processes shows. Reads
    MMEngine's private ``runner._resume``.

    Args:
        on_change: What to do where they differ. ``'refuse'`` (default). ``'keep'``: go on by the
            checkpoint's schedule, with a warning. ``'rescale'``: go on by the config's schedule, as
            if it had held from the first step, with a warning.

    Raises:
        ValueError: ``on_change`` is not as above, or, from the hook, what differs.
    """

    priority = 'VERY_HIGH'

    def __init__(self, on_change: str = 'refuse') -> None:
        if on_change not in ON_CHANGE:
            raise ValueError(
                f'SameTrainingHook: on_change: got {on_change!r}; accepted are {ON_CHANGE}'
            )
        self.on_change = on_change

    def before_train(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and not _by_epoch(runner.cfg):
            runner.logger.warning(
                'default_hooks.checkpoint.by_epoch=False: a checkpoint made inside an epoch cannot '
                'be resumed from, since an epoch-based training takes up at the beginning of one'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        meta = checkpoint.get('meta') or {}
        if not getattr(runner, '_resume', False) or 'iter' not in meta:
            return
        before = read_plain_config(str(meta.get('cfg') or ''))
        found = [*_differences(before, runner.cfg), *_steps(before, meta, runner)]
        if not found:
            return
        text = f'resume: the checkpoint is of another training: {"; ".join(found)}'
        if self.on_change == 'refuse':
            raise ValueError(
                f'{text}; give the same settings, or --cfg-options default_hooks.resume.on_change='
                'keep (the old schedule) or rescale (the new one)'
            )
        runner.logger.warning(f'{text}; on_change={self.on_change!r}')
        if self.on_change == 'rescale':
            _rescale(runner, checkpoint)


def _rescale(runner: Runner, checkpoint: dict) -> None:
    """Put into the checkpoint where the new schedule is after as many steps, or epochs."""
    schedulers, meta = runner.param_schedulers or [], checkpoint['meta']
    epochs = meta['epoch'] if isinstance(runner.train_loop, EpochBasedTrainLoop) else 0
    steps = epochs * len(runner.train_loop.dataloader) or meta['iter']
    for step in range(1, steps + 1):
        for scheduler in schedulers:
            if not scheduler.by_epoch or (epochs and step % (steps // epochs) == 0):
                scheduler.step()
    meta['iter'] = steps
    checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]
    saved, now = checkpoint['optimizer'], runner.optim_wrapper.optimizer
    for old, new in zip(saved['param_groups'], now.param_groups, strict=True):
        old.update({key: value for key, value in new.items() if key != 'params'})


def _by_epoch(cfg: Config) -> bool:
    """Whether checkpoints are made at the ends of epochs."""
    by_epoch = _get(cfg, 'default_hooks.checkpoint.by_epoch')
    return True if by_epoch is None else by_epoch


def _differences(before: dict, cfg: Config) -> Iterator[str]:
    for key in WATCHED if before else ():
        was, now = _get(before, key), _get(cfg, key)
        if was != now:
            yield f'{key} was {was!r} and is {now!r}'


def _steps(before: dict, meta: dict, runner: Runner) -> Iterator[str]:
    loop = runner.train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        return
    epoch, step, now = meta['epoch'], meta['iter'], len(loop.dataloader)
    if step == epoch * now:
        return
    if _by_epoch(before) and epoch:
        yield f'an epoch had {step // epoch} steps and has {now}'
    else:
        yield f'it was made inside an epoch, at step {step}, and epochs have {now} steps'


def _get(cfg: Any, key: str) -> Any:
    for part in key.split('.'):
        cfg = cfg.get(part) if isinstance(cfg, dict | Config) else None
    return cfg.to_dict() if hasattr(cfg, 'to_dict') else cfg
