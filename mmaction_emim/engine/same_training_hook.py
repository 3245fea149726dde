"""Whether a training that is resumed still is the same training."""

from collections.abc import Iterator
from typing import Any

from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmaction_emim.utils.plain_config import read_plain_config

ON_CHANGE = ('refuse', 'keep', 'rescale')
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
