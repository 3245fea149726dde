"""Runs a backbone once over a config's lists and keeps its feature maps, for necks and heads."""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import autocast
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import DataLoader, Dataset

from mmaction_emim.datasets.draws import CLIP, kept_streams, seed_streams
from mmaction_emim.datasets.feature_maps import (
    ABOUT,
    DTYPES,
    FAILED,
    MapShape,
    found_files,
    map_file,
)
from mmaction_emim.evaluation.protocol import is_2d, pipeline_views
from mmaction_emim.utils.command_line import explain
from mmaction_emim.utils.config_checks import datasets, label_map
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.utils.files import write_array, write_text

from .extraction import backbone_settings, check_settings, load_backbone, plain

SPLITS = ('train', 'val', 'test')


@dataclass(eq=False)
class MapReport:
    """What became of a split.

    Attributes:
        split: ``'train'``, ``'val'`` or ``'test'``.
        clips: Clips of its lists, each counted once.
        written: How many of them have got maps.
        kept: How many had them already.
        failed: Why the others could not be read, by their names.
    """

    split: str
    clips: int
    written: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        failed = f', {len(self.failed)} cannot be read ({FAILED})' if self.failed else ''
        return f'{self.split}: {self.clips} clips, {self.written} new, {self.kept} kept{failed}'


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
        batch_size: Clips a forward pass. Default 8.
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
    plans = [_Plan(cfg, split, views, augment, seed, out, common) for split in chosen]
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


class _Plan:
    """What is to be done for a split."""

    def __init__(
        self,
        cfg: Config,
        split: str,
        views: int,
        augment: bool,
        seed: int,
        out: Path,
        common: dict[str, Any],
    ) -> None:
        self.split, self.folder, self.out = split, out / split, out
        self.draws = views if split == 'train' else 1
        loader = cfg[f'{split}_dataloader']
        self.default_workers = loader.get('num_workers', 0)
        leaves = [leaf.copy() for leaf in datasets(loader.dataset)]
        pipeline = None
        if split == 'train' and not augment:
            if not cfg.get('val_dataloader'):
                raise ValueError('extract_maps: val_dataloader: the config has none')
            pipeline = next(datasets(cfg.val_dataloader.dataset)).pipeline
        for leaf in leaves:
            leaf.pop('num_repeats', None)
            leaf.pipeline = pipeline or leaf.pipeline
        crops = {int(np.prod(pipeline_views(x.pipeline, is_2d(cfg.model)))) for x in leaves}
        if len(crops) > 1:
            raise ValueError(
                f'{split}_dataloader: its lists have {crops} views a clip; make it one'
            )
        self.crops = crops.pop()
        self.sets = [DATASETS.build(leaf) for leaf in leaves]
        self.label_map = label_map(leaves[0])
        self.seed = seed
        self.settings = plain(
            dict(
                **common,
                split=split,
                views=self.draws,
                seed=seed,
                pipelines=[leaf.pipeline for leaf in leaves],
            )
        )
        for path in sorted(out.glob(f'*/{ABOUT}')):
            own = path.parent == self.folder
            check_settings(path, self.settings if own else plain(common))
        self.names, self.lines, self.clips = [], [], {}
        for which, dataset in enumerate(self.sets):
            for idx in range(len(dataset)):
                info = dataset.get_data_info(idx)
                name = _name(info)
                self.lines.append(f'{name} {_labels(info["label"])}\n')
                if name not in self.clips:
                    self.clips[name] = which, idx
        found = found_files(self.folder)
        self.pending = [name for name in self.clips if map_file(name) not in found]
        self.report = MapReport(split, len(self.clips), kept=len(self.clips) - len(self.pending))
        self.shape: MapShape | None = None

    def draw(self, name: str, draws: int) -> list[Tensor]:
        """What the pipeline gives of a clip, a draw at a time."""
        which, idx = self.clips[name]
        dataset, drawn = self.sets[which], []
        for draw in range(draws):
            seed_streams(CLIP, self.seed, zlib.crc32(name.encode()), draw)
            data = dataset.pipeline(dataset.get_data_info(idx))
            if data is None:
                raise ValueError('the pipeline gave no clip')
            if not isinstance(data['inputs'], Tensor):
                raise TypeError('the pipeline packs several inputs, and a map is of one')
            drawn.append(data['inputs'])
        return drawn

    def look(self, mapper: Callable) -> None:
        """Learn the shape of the maps from the first clip that can be read."""
        if (self.folder / ABOUT).is_file() and not self.pending:
            return
        for name in self.pending or self.clips:
            try:
                drawn = self.draw(name, 1)
            except Exception:  # of any class, as transforms are anybody's; reported in run()
                continue
            maps = mapper([drawn], crops=self.crops)[0]
            self.shape = MapShape(*maps.shape)._replace(draws=self.draws)
            self.itemsize = maps.itemsize
            check_settings(self.folder / ABOUT, dict(shape=list(self.shape)))
            return

    def bytes(self) -> int:
        """Of the files that are to be written."""
        return len(self.pending) * int(np.prod(self.shape)) * self.itemsize if self.shape else 0

    def run(
        self, mapper: Callable, batch_size: int, workers: int | None, advance: Callable
    ) -> None:
        """Write what is not there yet."""
        if self.shape:
            write_text(self.folder / ABOUT, _json({**self.settings, 'shape': list(self.shape)}))
        workers = min(self.default_workers if workers is None else workers, len(self.pending))
        clips = DataLoader(
            _Clips(self), batch_size, num_workers=workers, collate_fn=list, shuffle=False
        )
        for batch in clips if self.pending else ():
            for group in _of_one_size(batch):
                self._write(group, mapper)
            self._failures(batch)
            advance(len(batch))
        if self.report.failed or (self.folder / FAILED).exists():
            write_text(self.folder / FAILED, _json(self.report.failed))
        write_text(self.out / f'{self.split}.txt', ''.join(self.lines))
        if self.label_map:
            write_text(self.out / 'label_map.txt', self.label_map.read_text(encoding='utf-8-sig'))

    def _write(self, group: list[tuple[str, list[Tensor]]], mapper: Callable) -> None:
        for (name, _), maps in zip(
            group, mapper([x for _, x in group], crops=self.crops), strict=True
        ):
            if maps.shape != self.shape:
                raise ValueError(
                    f'{name}: its maps are {MapShape(*maps.shape)}, others {self.shape}; give the '
                    'pipeline a crop, or --pool'
                )
            write_array(self.folder / map_file(name), maps)
            self.report.written += 1

    def _failures(self, batch: list[tuple[str, list[Tensor] | str]]) -> None:
        self.report.failed |= {name: x for name, x in batch if isinstance(x, str)}


class _Clips(Dataset):
    """(name, draws or the sentence why there are none) of what is pending."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan

    def __len__(self) -> int:
        return len(self.plan.pending)

    def __getitem__(self, number: int) -> tuple[str, list[Tensor] | str]:
        name = self.plan.pending[number]
        try:
            return name, self.plan.draw(name, self.plan.draws)
        except Exception as error:
            return name, ' '.join(explain(error).split())


def _of_one_size(batch: list[tuple[str, Any]]) -> Iterator[list[tuple[str, list[Tensor]]]]:
    """The clips of a batch that were read, in groups of one shape."""
    groups: dict[Any, list] = {}
    for name, drawn in batch:
        if not isinstance(drawn, str):
            groups.setdefault(tuple(x.shape for x in drawn), []).append((name, drawn))
    yield from groups.values()


@torch.no_grad()
def _maps(
    model: nn.Module,
    clips: list[list[Tensor]],
    crops: int,
    pool: Sequence[int] | None,
    level: int | None,
    dtype: str,
    cfg: Config,
) -> list[np.ndarray]:
    """Clips, each a list of draws as the pipeline packs them -> maps (draws, crops, T, C, H, W)."""
    fp16 = bool((cfg.get('test_cfg') or {}).get('fp16'))
    inputs = dict(inputs=[x for drawn in clips for x in drawn], data_samples=None)
    inputs = model.data_preprocessor(inputs, False)['inputs']
    with autocast() if fp16 else nullcontext():
        x, _ = model.extract_feat(inputs, stage='backbone')
    x = _one_level(x, level).float()
    if x.dim() == 4:  # (N*T, C, H, W)
        x = x.unflatten(0, (len(inputs) * crops, -1))
    else:
        x = x.transpose(1, 2)
    if pool is not None:
        if pool[0] > x.shape[-2] or pool[1] > x.shape[-1]:
            raise ValueError(f'pool: the maps are {tuple(x.shape[-2:])} (H, W), got {tuple(pool)}')
        x = adaptive_avg_pool2d(x.flatten(0, 1), tuple(pool)).unflatten(0, x.shape[:2])
    x = x.unflatten(0, (len(clips), len(clips[0]), crops))
    largest = x.abs().max().item()
    if not largest <= torch.finfo(getattr(torch, dtype)).max:
        raise ValueError(f'the backbone gave {largest:g}, which does not fit {dtype}')
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


def _check_room(plans: list[_Plan], out: Path, say: Callable[[str], None]) -> None:
    for plan in plans:
        if plan.shape:
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


def _name(info: dict) -> str:
    name = info.get('video_id') or info.get('filename') or info.get('frame_dir')
    return f'{name}@{info["offset"]}' if 'offset' in info else name


def _labels(label: Any) -> str:
    if isinstance(label, Tensor):  # of several labels, a number a class
        return ' '.join(map(str, label.nonzero().flatten().tolist()))
    return str(label)


def _json(settings: dict) -> str:
    return json.dumps(settings, indent=1, ensure_ascii=False) + '\n'
