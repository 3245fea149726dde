"""One split of a config whose feature maps are written: its clips, draws, files and failures."""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import DATASETS
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmaction_emim.datasets.draws import CLIP, seed_streams
from mmaction_emim.datasets.feature_maps import (
    ABOUT,
    FAILED,
    FeatureMaps,
    MapShape,
    found_files,
    map_file,
)
from mmaction_emim.evaluation.protocol import is_2d, pipeline_views
from mmaction_emim.utils.command_line import explain
from mmaction_emim.utils.config_checks import datasets, label_map
from mmaction_emim.utils.files import write_array, write_text

from .extraction import check_settings, plain

LOOKED_AT = 8  # clips, until one can be read
FILES = 'filename', 'frame_dir'
WITHIN_ONE = {'label', 'video_id', 'sample_idx'}  # what one clip in two lists may differ in


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
    written: int
    kept: int
    failed: dict[str, str]

    def __str__(self) -> str:
        failed = f', {len(self.failed)} cannot be read ({FAILED})' if self.failed else ''
        return f'{self.split}: {self.clips} clips, {self.written} new, {self.kept} kept{failed}'


class MapSplit:
    """A split of a config: its clips, what is there of them, and what is to be done.

    Args:
        cfg: The config.
        split: ``'train'``, ``'val'`` or ``'test'``.
        views: Draws a training clip.
        augment: Whether training clips go through the train pipeline.
        seed: What the draws start from.
        out: Folder of all splits.
        common: Settings that all of them share.

    Attributes:
        clips: (data set, index) of each clip by its name.
        pending: Names of the clips without maps.
        shape: What a clip's file will hold; None before :meth:`look`.
        report: What became of it until now.

    Raises:
        FileNotFoundError, ValueError: A list is not there or wrong, or ``out`` was made otherwise.
    """

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
                folders=[
                    {key: os.path.realpath(folder) for key, folder in each.data_prefix.items()}
                    for each in self.sets
                ],
            )
        )
        for path in sorted(out.glob(f'*/{ABOUT}')):
            own = path.parent == self.folder
            check_settings(path, self.settings if own else plain(common))
        self.lines, self.clips = [], {}
        for which, dataset in enumerate(self.sets):
            for idx in range(len(dataset)):
                info = dataset.get_data_info(idx)
                name = _name(info)
                self.lines.append(f'{name} {_labels(info["label"])}\n')
                first, at = self.clips.setdefault(name, (which, idx))
                if (first, at) != (which, idx):
                    before = self.sets[first].get_data_info(at), leaves[first].pipeline
                    self._check_same(name, before, (info, leaves[which].pipeline))
        found = found_files(self.folder)
        self.pending = [name for name in self.clips if map_file(name) not in found]
        kept = len(self.clips) - len(self.pending)
        self.report = MapReport(split, len(self.clips), 0, kept, {})
        self.shape: MapShape | None = None

    def _check_same(self, name: str, before: tuple[dict, list], now: tuple[dict, list]) -> None:
        """Refuse two clips, or two ways to read one, that would share a file of maps."""
        (one, pipeline), (other, its_pipeline) = before, now
        for key in sorted({*one, *other} - WITHIN_ONE):
            a, b = one.get(key), other.get(key)
            if a != b and not (key in FILES and os.path.realpath(a) == os.path.realpath(b)):
                raise ValueError(
                    f'{self.split}_dataloader: two clips of its lists are called {name}, with '
                    f'{key} {a} and {b}; give the lists one data_root, and its folders in names'
                )
        if plain(pipeline) != plain(its_pipeline):
            raise ValueError(
                f'{self.split}_dataloader: {name} is in two lists whose pipelines differ; make '
                'them one'
            )

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
        """Learn the shape of the maps from the first clip that can be read.

        Raises:
            ValueError: None of the first ones can.
        """
        if (self.folder / ABOUT).is_file():
            self.shape = FeatureMaps(self.folder).shape
            return
        error = None
        for name in list(self.clips)[:LOOKED_AT]:
            try:
                drawn = self.draw(name, 1)
            except Exception as cause:  # of any class, as transforms are anybody's
                error = cause
                continue
            (maps,) = mapper(drawn, [name], crops=self.crops)
            self.shape = MapShape(self.draws, *maps.shape)
            return
        raise ValueError(
            f'{self.split}_dataloader: none of the first {LOOKED_AT} clips can be read; {name}: '
            f'{explain(error)}'
        ) from error

    def bytes(self) -> int:
        """Bytes of the files that are to be written."""
        size = np.dtype(self.settings['dtype']).itemsize
        return len(self.pending) * int(np.prod(self.shape)) * size

    def run(
        self, mapper: Callable, batch_size: int, workers: int | None, advance: Callable
    ) -> None:
        """Write what is not there yet.

        Args:
            mapper: From draws and the names of their clips to their maps.
            batch_size: Draws that it gets together.
            workers: Processes that decode; None: the config's.
            advance: Gets the number of clips that were done.
        """
        write_text(self.folder / ABOUT, _json({**self.settings, 'shape': list(self.shape)}))
        write_text(self.out / f'{self.split}.txt', ''.join(self.lines))
        if self.label_map:
            write_text(self.out / 'label_map.txt', self.label_map.read_text(encoding='utf-8-sig'))
        workers = min(self.default_workers if workers is None else workers, len(self.pending))
        clips = max(1, batch_size // self.draws)
        loader = DataLoader(_Clips(self), clips, num_workers=workers, collate_fn=list)
        for batch in loader if self.pending else ():
            for group in _of_one_size(batch):
                self._write(group, mapper, batch_size)
            self.report.failed.update((name, x) for name, x in batch if isinstance(x, str))
            advance(len(batch))
        if self.report.failed or (self.folder / FAILED).exists():
            write_text(self.folder / FAILED, _json(self.report.failed))

    def _write(
        self, group: list[tuple[str, list[Tensor]]], mapper: Callable, batch_size: int
    ) -> None:
        drawn = [x for _, draws in group for x in draws]
        names = [name for name, draws in group for _ in draws]
        found = []
        for i in range(0, len(drawn), batch_size):
            some = slice(i, i + batch_size)
            found += mapper(drawn[some], names[some], crops=self.crops)
        for i, (name, _) in enumerate(group):
            maps = np.stack(found[i * self.draws : (i + 1) * self.draws])
            if maps.shape != self.shape:
                raise ValueError(
                    f'{name}: its maps are {MapShape(*maps.shape)}, others {self.shape}; give the '
                    'pipeline a crop, or --pool'
                )
            write_array(self.folder / map_file(name), maps)
            self.report.written += 1


class _Clips(Dataset):
    """(name, draws or the sentence why there are none) of what is pending."""

    def __init__(self, plan: MapSplit) -> None:
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


def _name(info: dict) -> str:
    name = info.get('video_id') or info.get('filename') or info.get('frame_dir')
    return f'{name}@{info["offset"]}' if 'offset' in info else name


def _labels(label: Any) -> str:
    if isinstance(label, Tensor):  # of several labels, a number a class
        return ' '.join(map(str, label.nonzero().flatten().tolist()))
    return str(label)


def _json(settings: dict) -> str:
    return json.dumps(settings, indent=1, ensure_ascii=False) + '\n'
