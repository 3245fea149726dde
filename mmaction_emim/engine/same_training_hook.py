"""Whether a training that is resumed still is the same training."""

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmaction_emim.utils.plain_config import read_plain_config

ON_CHANGE = ('refuse', 'keep', 'rescale')
WATCHED = (  # Config keys on which the schedule of a training depends
    'train_cfg.max_epochs',
    'train_cfg.max_iters',
    'train_dataloader.batch_size',
    'optim_wrapper.accumulative_counts',
    'optim_wrapper.constructor',
    'optim_wrapper.optimizer',
    'optim_wrapper.paramwise_cfg',
    'param_scheduler',
)
OF_SETS = ('num_repeats', 'times')  # keys of data sets, wrapped ones included, and of what wraps
PLACES = ('ann_file', 'data_root', 'data_prefix')  # where they are, which may change
OPTIMIZER = 'optim_wrapper.optimizer.type'  # no other one can take its state
SETS = 'train_dataloader.dataset'
OTHERS = ('model', 'optim_wrapper', 'train_dataloader', 'custom_hooks')  # in a warning
# Parts of keys that change no training that is resumed, and no test.
_SILENT = '_scope_|init_cfg|pretrained|with_cp|num_workers|persistent_workers|pin_memory|prefetch.*'
_SILENT_IN_TESTS = f'{_SILENT}|drop.*|.*_drop.*|blending|loss.*|label_smooth.*|frozen.*|train_cfg'
MOST, LONG = 5, 160  # differences that a warning has, characters of each
NOTED = 'training'  # in a checkpoint's meta


@HOOKS.register_module()
class SameTrainingHook(Hook):
    """Looks, when a training is resumed, whether its settings are still the checkpoint's.

    MMEngine restores the old schedule, whatever the config says now: with more epochs or another
    number of steps an epoch, rates would end flat, or never come down. Compared are the configs
    (``WATCHED``, ``OF_SETS``), the steps of an epoch, and what the hook notes in each checkpoint:
    the clips, the processes, and what the lists of clips hold. Lists and clips that are elsewhere
    are told in a warning, where the lists hold the same, and so are other differences of model,
    optimizer's wrapper, data and custom hooks. A test warns of a checkpoint that was trained with
    another ``model``, such as other strides, which fits as well. Reads MMEngine's private
    ``runner._resume``.

    Args:
        on_change: What to do where they differ. ``'refuse'`` (default). ``'keep'``: go on by the
            checkpoint's schedule, with a warning. ``'rescale'``: go on by the config's schedule, as
            if it had held from the first step, with a warning. Another type of optimizer is refused
            all the same.

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
        self.trained = ''  # the config of the checkpoint that is loaded for a test

    def before_train(self, runner: Runner) -> None:
        self.trained = ''
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and not _by_epoch(runner.cfg):
            runner.logger.warning(
                'default_hooks.checkpoint.by_epoch=False: a checkpoint made inside an epoch cannot '
                'be resumed from, since an epoch-based training takes up at the beginning of one'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['meta'][NOTED] = _note(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        meta = checkpoint.get('meta') or {}
        if not getattr(runner, '_resume', False):
            self.trained = str(meta.get('cfg') or '')
            return
        if 'iter' not in meta:
            return
        before = read_plain_config(str(meta.get('cfg') or ''))
        cfg = read_plain_config(runner.cfg.pretty_text)
        noted, note = meta.get(NOTED), _note(runner)
        noted = noted if isinstance(noted, dict) else {}  # earlier versions noted nothing
        same_lists = bool(note['lists']) and noted.get('lists') == note['lists']
        moved = dict(_of_sets(PLACES, before, cfg))
        lists = [] if same_lists else [key for key in moved if key.endswith('.ann_file')]
        found = [moved.pop(key) for key in lists]
        found += [*_differences(before, cfg), *_steps(before, meta, runner), *_noted(noted, note)]
        if moved:
            said = '; the lists of clips are the same' if same_lists else ''
            runner.logger.warning(f'resume: {"; ".join(moved.values())}{said}')
        told = (*WATCHED, *moved, *lists)
        others = (
            sentence
            for key, sentence in _others(OTHERS, before, cfg, _SILENT)
            if not key.startswith(told) and not {*key.split('.')} & {*OF_SETS, *PLACES}
        )
        if said := _some(others):
            runner.logger.warning(f'resume: other settings than the checkpoint has: {said}')
        if not found:
            return
        text = f'resume: the checkpoint is of another training: {"; ".join(found)}'
        if any(sentence.startswith(OPTIMIZER) for sentence in found):
            raise ValueError(
                f'{text}; no optimizer takes the state of another type: give the same, or begin '
                'anew from these weights, with load_from and without --resume'
            )
        if self.on_change == 'refuse':
            raise ValueError(
                f'{text}; give the same settings, or --cfg-options default_hooks.resume.on_change='
                'keep (the old schedule) or rescale (the new one)'
            )
        runner.logger.warning(f'{text}; on_change={self.on_change!r}')
        if self.on_change == 'rescale':
            _rescale(runner, checkpoint)

    def before_test(self, runner: Runner) -> None:
        text, self.trained = self.trained, ''
        try:
            was, now = read_plain_config(text), read_plain_config(runner.cfg.pretty_text)
        except ValueError:  # of another framework
            return
        if said := _some(x for _, x in _others(('model',), was, now, _SILENT_IN_TESTS)):
            runner.logger.warning(f'the checkpoint was trained with another model: {said}')


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


def _note(runner: Runner) -> dict:
    """What tells a training's data from other data, wherever they are."""
    dataset = runner.train_loop.dataloader.dataset
    clips = len(dataset) if hasattr(dataset, '__len__') else None
    return dict(clips=clips, processes=get_world_size(), lists=list(_digests(dataset)))


def _digests(dataset: Any) -> Iterator[str]:
    """Of each list of clips, also of sets that others wrap."""
    for part in (*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)):
        yield from _digests(part) if part is not None else ()
    path = getattr(dataset, 'ann_file', None)
    if path and os.path.isfile(path):
        yield hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _noted(was: dict, now: dict) -> Iterator[str]:
    changed = [name for name in ('clips', 'processes') if was.get(name, now[name]) != now[name]]
    for name in changed:
        yield f'it had {was[name]} {name} and has {now[name]}'
    both = was.get('lists') and now['lists']
    if both and was['lists'] != now['lists'] and 'clips' not in changed:
        yield 'its lists of clips held other lines'


def _differences(before: dict, cfg: dict) -> Iterator[str]:
    """What differs of ``WATCHED`` and ``OF_SETS``."""
    for key in WATCHED if before else ():
        for _, sentence in _leaves(key, _get(before, key), _get(cfg, key)):
            yield sentence
    for _, sentence in _of_sets(OF_SETS, before, cfg):
        yield sentence


def _of_sets(names: tuple[str, ...], before: dict, cfg: dict) -> Iterator[tuple[str, str]]:
    """What differs of some keys of the data sets: the key below which it does, and a sentence."""
    was, now = (dict(_sets(SETS, _get(x, SETS))) for x in (before, cfg))
    for key in dict.fromkeys([*was, *now]) if before else ():
        for name in names:
            yield from _leaves(f'{key}.{name}', *(x.get(key, {}).get(name) for x in (was, now)))


def _sets(key: str, cfg: Any) -> Iterator[tuple[str, dict]]:
    """The config of a data set and those of the sets that it wraps, by key."""
    if isinstance(cfg, list):
        for i, part in enumerate(cfg):
            yield from _sets(f'{key}.{i}', part)
    if isinstance(cfg, dict):
        yield key, cfg
        for name in ('dataset', 'datasets'):
            yield from _sets(f'{key}.{name}', cfg.get(name))


def _others(
    names: tuple[str, ...], before: dict, cfg: dict, silent: str
) -> Iterator[tuple[str, str]]:
    """What differs below some keys of the top, but for keys with a part that is ``silent``."""
    for name in names if before else ():
        for key, sentence in _leaves(name, *(_numbered(x.get(name)) for x in (before, cfg))):
            if not any(re.fullmatch(silent, part) for part in key.split('.')):
                yield key, sentence


def _some(sentences: Iterable[str]) -> str:
    """The first of them, shortened, and how many more there are."""
    sentences = [x if len(x) < LONG else f'{x[: LONG - 1]}…' for x in sentences]
    more = len(sentences) - MOST
    return '; '.join(sentences[:MOST]) + (f'; and {more} more' if more > 0 else '')


def _numbered(value: Any) -> Any:
    """Lists as dicts of their items by number."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        return {key: _numbered(item) for key, item in value.items()}
    return value


def _leaves(key: str, was: Any, now: Any) -> Iterator[tuple[str, str]]:
    """The keys below which two values differ, with a sentence each."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*was, *now]):
            yield from _leaves(f'{key}.{name}', was.get(name), now.get(name))
    elif (was := _plain(was)) != (now := _plain(now)):
        yield key, f'{key} was {was!r} and is {now!r}'


def _plain(value: Any) -> Any:
    """Without the difference of tuples and lists, which ``--cfg-options`` does not keep."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return ast.unparse(value) if isinstance(value, ast.AST) else value


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
    return cfg
