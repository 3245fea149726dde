"""Before the first step: mistakes that a training would not notice, and what it will see."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from mmaction.models import ActionDataPreprocessor
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmaction_emim.datasets.draws import kept_streams
from mmaction_emim.models.weights.fit import network_of
from mmaction_emim.utils.config_checks import check_config, label_map, other_roots

from .training_summary import device_line, model_line, steps_line

LOOKED_AT = 8  # clips, evenly spaced over the list
ADVICE = (
    'end the pipeline with a crop, or Resize(scale=(224, 224), keep_ratio=False), and let it give '
    'each clip as many frames and views'
)
MOST_CLASSES = 20  # that are named with their clips, each


class View(NamedTuple):
    """What the pipeline made of a clip.

    Attributes:
        size: (T, H, W).
        spacing: Median of the frames' distances, in seconds; in frames where no rate is known.
        unit: ``'s'`` or ``'frames'``.
    """

    size: tuple[int, int, int]
    spacing: float
    unit: str


@HOOKS.register_module()
class TrainingCheckHook(Hook):
    """Refuses what :func:`.check_config` does; logs model, data, training view, steps and device.

    A few clips go through the training pipeline, drawn as it draws; the streams of random numbers
    are as before afterwards. Refused are clips of several sizes in one batch, which MMAction2 pads
    with black, and labels that the head has no output for; a warning is logged of classes without a
    clip, of a set that is smaller than a batch, of clips that are not shuffled or left out of a
    score, and of loaders with several data roots or folders of clips. A few clips to validate on
    are looked at, too. A size that is rarer ends a training, validation or test at its batch,
    before a step or a score.

    Raises:
        ValueError: From the hook, the mistake in a sentence.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        check_config(runner.cfg)
        for sentence in other_roots(runner.cfg):
            runner.logger.warning(sentence)
        self._check_length(runner)
        runner.logger.info(model_line(runner))
        sets = list(listed(runner.train_dataloader.dataset))
        self._check_classes(runner, sets)
        self._check_views(runner, sets)
        runner.logger.info(steps_line(runner))
        runner.logger.info(device_line(runner))

    def before_test(self, runner: Runner) -> None:
        check_config(runner.cfg, ('test_dataloader',))
        _say_what_is_left_out(runner, 'test', runner.test_dataloader)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        _refuse_padding(runner, 'train', data_batch)

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        _refuse_padding(runner, 'val', data_batch)

    def before_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        _refuse_padding(runner, 'test', data_batch)

    def _check_length(self, runner: Runner) -> None:
        loader = runner.train_dataloader
        clips, batch = len(loader.dataset), loader.batch_size or 1
        if not len(loader):
            raise ValueError(
                f'train_dataloader: {clips} clips make no batch of {batch} with drop_last=True; '
                f'set train_dataloader.batch_size to {clips} or less'
            )
        if clips < batch:
            runner.logger.warning(
                f'train_dataloader: {clips} clips are fewer than batch_size={batch}'
            )
        if getattr(loader.sampler, 'shuffle', None) is False:
            runner.logger.warning(
                'train_dataloader.sampler: shuffle=False: clips are trained on in the order of '
                'their list'
            )
        if runner.val_loop:
            _say_what_is_left_out(runner, 'val', runner.val_loop.dataloader)

    def _check_classes(self, runner: Runner, sets: list[Dataset]) -> None:
        labels = [label for dataset in sets for label in labels_of(dataset)]
        outputs = getattr(getattr(network_of(runner.model), 'cls_head', None), 'num_classes', None)
        data = f'data: {len(runner.train_dataloader.dataset)} training clips'
        if runner.val_loop:
            data += f', {len(runner.val_loop.dataloader.dataset)} to validate on'
        if not labels or not isinstance(outputs, int):
            runner.logger.info(data)
            return
        if max(labels) >= outputs:
            raise ValueError(
                f'train_dataloader: label {max(labels)} is in the list, and '
                f'model.cls_head.num_classes={outputs} has labels 0 to {outputs - 1}'
            )
        counts, names = np.bincount(labels, minlength=outputs), _names(runner, outputs)
        if absent := [names[label] for label in np.flatnonzero(counts == 0)]:
            runner.logger.warning(
                f'train_dataloader: no clip of {len(absent)} of {outputs} classes: '
                f'{", ".join(absent[:5])}{" …" if len(absent) > 5 else ""}'
            )
        said = ', '.join(f'{name} {count}' for name, count in zip(names, counts, strict=True))
        if outputs > MOST_CLASSES:
            least, most = int(counts.argmin()), int(counts.argmax())
            said = (
                f'{counts[least]} ({names[least]}) to {counts[most]} ({names[most]}), median '
                f'{np.median(counts):g}'
            )
        runner.logger.info(f'{data}; clips a class: {said}')

    def _check_views(self, runner: Runner, sets: list[Dataset]) -> None:
        views = [view for dataset in sets for view in _views(dataset)]
        _refuse_sizes(runner, 'train', runner.train_dataloader, views)
        if runner.val_loop:
            loader = runner.val_loop.dataloader
            held_out = [view for dataset in listed(loader.dataset) for view in _views(dataset)]
            _refuse_sizes(runner, 'val', loader, held_out)
        if views:
            low, middle, high = np.quantile([view.spacing for view in views], [0, 0.5, 1])
            spread = '' if low == high else f' ({low:.2g} to {high:.2g})'
            runner.logger.info(
                f'training view: {" x ".join(map(str, views[0].size))} (T x H x W), frames '
                f'{middle:.2g} {views[0].unit} apart{spread}'
            )


def _say_what_is_left_out(runner: Runner, split: str, loader: DataLoader) -> None:
    left = len(loader.sampler) % (loader.batch_size or 1) if loader.drop_last else 0
    if left:
        runner.logger.warning(
            f'{split}_dataloader: drop_last=True leaves {left} of {len(loader.sampler)} clips out '
            'of the score'
        )


def _pads(runner: Runner) -> bool:
    """Whether clips of several shapes become one tensor, the smaller with black beside them."""
    network = network_of(runner.model)
    return isinstance(network, BaseRecognizer) and isinstance(
        network.data_preprocessor, ActionDataPreprocessor
    )


def _refuse_sizes(runner: Runner, split: str, loader: DataLoader, views: list[View]) -> None:
    sizes = list(dict.fromkeys(view.size[1:] for view in views))
    if len(sizes) > 1 and (loader.batch_size or 1) > 1 and _pads(runner):
        raise ValueError(
            f'{split}_dataloader: clips of several sizes, such as '
            f'{" and ".join(f"{H} x {W}" for H, W in sizes[:2])}, would be padded with black in a '
            f'batch; {ADVICE}'
        )


def _refuse_padding(runner: Runner, split: str, batch: Any) -> None:
    inputs = batch.get('inputs') if isinstance(batch, dict) else None
    inputs = inputs if isinstance(inputs, list) else []
    shapes = [tuple(getattr(clip, 'shape', ())) for clip in inputs]
    if len(set(shapes)) < 2 or not _pads(runner):
        return
    names = [sample.get('video_id', 'a clip') for sample in batch['data_samples']]
    other = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
    said = ' and '.join(f'{names[i]} {shapes[i]}' for i in (0, other))
    raise ValueError(
        f'{split}_dataloader: a batch has clips of several shapes, {said}, which would be padded '
        f'with black; {ADVICE}'
    )


def listed(dataset: Dataset) -> Iterator[Dataset]:
    """The datasets with lists, in what wraps them, as ``RepeatDataset`` does."""
    inner = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    inner = [each for each in inner if each is not None]
    if not inner and hasattr(dataset, 'get_data_info') and hasattr(dataset, 'pipeline'):
        yield dataset
    for each in inner:
        yield from listed(each)


def labels_of(dataset: Dataset) -> Iterator[int]:
    """The labels of a dataset's clips, all of each clip."""
    for idx in range(len(dataset)):
        label = dataset.get_data_info(idx).get('label')
        if isinstance(label, torch.Tensor):  # 0 and 1 of each class
            label = label.nonzero().flatten().tolist()
        several = label if isinstance(label, list | tuple) else [label]
        yield from (int(one) for one in several if isinstance(one, int | np.integer))


def _names(runner: Runner, count: int) -> list[str]:
    loader = runner.cfg.get('train_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    if path := label_map(dataset) if isinstance(dataset, dict) else None:
        text = path.read_text(encoding='utf-8-sig', errors='replace')
        names = [line.strip() for line in text.split('\n') if line.strip()]
        if len(names) == count:
            return names
    return [str(label) for label in range(count)]


def _views(dataset: Dataset) -> Iterator[View]:
    """Views of a few clips; those that fail are left to the training, which says so."""
    with kept_streams():
        for idx in np.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset)), dtype=int):
            try:
                view = _view(dataset, int(idx))
            except Exception:
                continue
            if view:
                yield view


def _view(dataset: Dataset, idx: int) -> View | None:
    data, frames, fps = dataset.get_data_info(idx), None, 0.0
    for step in dataset.pipeline.transforms:
        data = step(data)
        if frames is None and 'frame_inds' in data:
            frames, fps = np.asarray(data['frame_inds']), float(data.get('avg_fps') or 0)
            frames = frames.reshape(-1, data.get('clip_len') or len(frames))
            frames = frames if frames.shape[1] > 1 else frames.T
    inputs = data['inputs']
    if frames is None or not isinstance(inputs, torch.Tensor) or inputs.dim() not in (4, 5):
        return None
    T, H, W = inputs.shape[-3:] if inputs.dim() == 5 else (inputs.shape[0], *inputs.shape[-2:])
    apart = float(np.median(np.abs(np.diff(frames)))) if frames.shape[1] > 1 else 0.0
    return View((T, H, W), apart / (fps or 1), 's' if fps else 'frames')
