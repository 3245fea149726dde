"""Runs a backbone once over a config's lists and keeps its feature maps, for necks and heads."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import autocast
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from mmaction_emim.datasets.draws import kept_streams
from mmaction_emim.datasets.feature_maps import DTYPES
from mmaction_emim.utils.config_names import read_config

from .extraction import backbone_settings, load_backbone, plain
from .map_split import MapReport, MapSplit

SPLITS = ('train', 'val', 'test')


def extract_maps(
    config: str | Path | Config,
    checkpoint: str | Path | None,
    out: str | Path,
    splits: Sequence[str] | None = None,
    views: int = 1,
    augment: bool = True,
    pool: Sequence[int] | None = None,
    dtype: str = 'float16',
    level: int | None = None,
    seed: int = 0,
    batch_size: int = 8,
    workers: int | None = None,
    device: str | torch.device | None = None,
    say: Callable[[str], None] = print,
    show_progress: bool = True,
) -> list[MapReport]:
    """Write the backbone's feature maps of all clips of a config's lists, for a
    :class:`.FeatureMapDataset`.

    ``OUT/SPLIT.txt`` is the list, ``OUT/SPLIT/`` holds a file a clip, (views, crops, T, C, H, W).
    Clips that have one are skipped, if it was made in the same way. View k of a clip is always the
    same, whatever else is in the list, drawn by the train pipeline from ``seed``, the clip's name
    and k.

    Args:
        config: A config file, the name of a config (:func:`.find_config`) or a config.
        checkpoint: File or address; None: the weights that the config itself names.
        out: Folder.
        splits: Some of ``'train'``, ``'val'``, ``'test'``. Default None: those that the config has;
            not ``'test'`` where it is as ``'val'``.
        views: Draws of the train pipeline a training clip. Default 1. Others are drawn once.
        augment: Whether training clips go through the train pipeline. False: through that of
            ``val_dataloader``.
        pool: (H, W) that maps are averaged to. Default None: as the backbone gives them.
        dtype: ``'float16'`` (default) or ``'float32'``.
        level: Which of several maps that a backbone returns, from 0. Default None: it returns one.
        seed: What the draws start from. Default 0.
        batch_size: Draws of clips a forward pass. Default 8.
        workers: Processes that decode; None: as many as the config's loaders have.
        device: Default None: an accelerator where there is one.
        say: Gets a sentence at a time: the size before the first clip, then what became of each
            split. Default: ``print``.
        show_progress: Whether a bar is shown, on stderr.

    Returns:
        A report a split.

    Raises:
        FileNotFoundError, ValueError: Config, checkpoint or arguments are not there or do not fit,
            ``out`` was made in another way, maps of clips differ in shape or do not fit float16.
        OSError: The disk has no room for all maps.
    """
    whole = dict(views=views, batch_size=batch_size)
    if wrong := {k: v for k, v in whole.items() if not isinstance(v, int) or v < 1}:
        raise ValueError(f'extract_maps: {wrong} must be whole numbers of 1 or more')
    if dtype not in DTYPES:
        raise ValueError(f'extract_maps: dtype must be float16 or float32, got {dtype!r}')
    if not augment and views > 1:
        raise ValueError(f'extract_maps: views must be 1 where nothing is drawn, got {views}')
    if pool is not None and (len(pool) != 2 or min(pool) < 1):
        raise ValueError(f'extract_maps: pool must be (H, W) of 1 or more, got {pool!r}')
    cfg, out = read_config(config), Path(out)
    init_default_scope('mmaction')
    chosen = _chosen_splits(cfg, splits)
    model = load_backbone(cfg, checkpoint, device)
    common = dict(
        **backbone_settings(cfg, model, checkpoint),
        pool=pool and list(pool),
        dtype=dtype,
        level=level,
    )
    mapper = partial(_maps, model, pool=pool, level=level, dtype=dtype, cfg=cfg)
    plans = [MapSplit(cfg, split, views, augment, seed, out, common) for split in chosen]
    options = dict(batch_size=batch_size, workers=workers)
    with kept_streams():
        for plan in plans:
            plan.look(mapper)
        _check_room(plans, out, say)
        columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn()
        console = Console(stderr=True)
        bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not show_progress)
        with bar:
            for plan in plans:
                task = bar.add_task(plan.split, total=len(plan.pending))
                plan.run(mapper, **options, advance=partial(bar.advance, task))
                say(str(plan.report))
    return [plan.report for plan in plans]


def _chosen_splits(cfg: Config, splits: Sequence[str] | None) -> list[str]:
    there = [x for x in SPLITS if isinstance(cfg.get(f'{x}_dataloader'), dict)]
    if splits is None:
        same = cfg.get('test_dataloader') and cfg.get('val_dataloader')
        if same and plain(cfg.test_dataloader.dataset) == plain(cfg.val_dataloader.dataset):
            there.remove('test')
        splits = there
    for split in splits:
        if split not in there:
            raise ValueError(f'extract_maps: {split}_dataloader: the config has none')
    return list(dict.fromkeys(splits))


@torch.no_grad()
def _maps(
    model: nn.Module,
    clips: list[Tensor],
    names: Sequence[str],
    crops: int,
    pool: Sequence[int] | None,
    level: int | None,
    dtype: str,
    cfg: Config,
) -> list[np.ndarray]:
    """Clips as a pipeline packs them, and their names -> maps (crops, T, C, H, W) of each."""
    fp16 = bool((cfg.get('test_cfg') or {}).get('fp16'))
    inputs = model.data_preprocessor(dict(inputs=clips, data_samples=None), False)['inputs']
    with autocast() if fp16 else nullcontext():
        x, _ = model.extract_feat(inputs, stage='backbone')
    x = _one_level(x, level).float()
    if x.dim() == 4:  # (N*T, C, H, W)
        x = x.unflatten(0, (len(clips) * crops, -1))
    else:
        x = x.transpose(1, 2)
    if pool is not None:
        if pool[0] > x.shape[-2] or pool[1] > x.shape[-1]:
            raise ValueError(f'pool: the maps are {tuple(x.shape[-2:])} (H, W), got {tuple(pool)}')
        x = adaptive_avg_pool2d(x.flatten(0, 1), tuple(pool)).unflatten(0, x.shape[:2])
    x = x.unflatten(0, (len(clips), crops))
    most = torch.finfo(getattr(torch, dtype)).max
    for name, largest in zip(names, x.flatten(1).abs().amax(1).tolist(), strict=True):
        if not largest <= most:  # NaN too
            raise ValueError(f'{name}: the backbone gave {largest:g}, which does not fit {dtype}')
    return list(x.to(getattr(torch, dtype)).cpu().numpy())


def _one_level(x: Any, level: int | None) -> Tensor:
    levels = list(x) if isinstance(x, list | tuple) else [x]
    shapes = ', '.join(str(tuple(getattr(one, 'shape', ()))) for one in levels)
    if level is None and len(levels) > 1:
        raise ValueError(f'level: the backbone returns several maps, {shapes}; say which, from 0')
    if not 0 <= (level or 0) < len(levels):
        raise ValueError(f'level: the backbone returns {len(levels)} maps, {shapes}, got {level}')
    chosen = levels[level or 0]
    if not isinstance(chosen, Tensor) or chosen.dim() not in (4, 5):
        raise ValueError(
            f'the backbone returns {shapes}, and a feature map is (N, C, T, H, W) or (N*T, C, H, W)'
        )
    return chosen


def _check_room(plans: list[MapSplit], out: Path, say: Callable[[str], None]) -> None:
    for plan in plans:
        say(
            f'{plan.split}: {len(plan.pending)} of {len(plan.clips)} clips x {plan.shape} '
            f'(T x C x H x W): {_size(plan.bytes())}'
        )
    needed, place = sum(plan.bytes() for plan in plans), out.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OSError(
            f'{out}: the maps need {_size(needed)}, and the disk has {_size(free)} free; --pool '
            'and fewer --views make them smaller'
        )


def _size(count: int) -> str:
    for unit in ('bytes', 'kB', 'MB', 'GB'):
        if count < 1000:
            return f'{count:.3g} {unit}'
        count /= 1000
    return f'{count:.3g} TB'
