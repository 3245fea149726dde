"""Mistakes in a config that a training would not notice, or only after hours."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device

from .config_keys import unread

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_DEFAULT = 'DefaultOptimWrapperConstructor'
_PARAMWISE = (  # that it reads
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'flat_decay_mult',
    'dwconv_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
)
_OF_ONE_LABEL = ('top_k_accuracy', 'mean_class_accuracy')


def check_config(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Refuse a config with a certain mistake.

    Args:
        cfg: As a Runner takes it.
        loaders: Which data loaders are used; keys are looked at with ``train_dataloader`` only.

    Raises:
        ValueError: The first mistake: the key, the value, and what it should be.
    """
    slips = unread(cfg) if 'train_dataloader' in loaders else ()
    mistakes = (
        _synchronized_batch_norm,
        _loader_mistakes,
        _unread_options,
        _class_counts,
        _several_labels,
    )
    for mistake in (*slips, *(one for found in mistakes for one in found(cfg, loaders))):
        raise ValueError(mistake)


def datasets(dataset: Any) -> Iterator[dict]:
    """Configs of the datasets with lists, inside of ``ConcatDataset`` and the like."""
    if isinstance(dataset, dict):
        inner = [*dataset.get('datasets', ()), *filter(None, [dataset.get('dataset')])]
        if not inner:
            yield dataset
        for each in inner:
            yield from datasets(each)


def _loaders(cfg: Config, names: tuple[str, ...]) -> Iterator[tuple[str, dict]]:
    for name in names:
        if isinstance(cfg.get(name), dict):
            yield name, cfg[name]


def _loader_mistakes(cfg: Config, loaders: tuple[str, ...]) -> Iterator[str]:
    for name, loader in _loaders(cfg, loaders):
        if loader.get('persistent_workers') and not loader.get('num_workers'):
            yield (
                f'{name}: persistent_workers=True needs num_workers of 1 or more, got '
                f'{loader.get("num_workers", 0)}; set {name}.persistent_workers=False'
            )
        collate = _name((loader.get('collate_fn') or {}).get('type'))
        for dataset in datasets(loader.get('dataset')):
            repeats = dataset.get('num_repeats', 1)
            if repeats > 1 and collate != 'repeat_pseudo_collate':
                yield (
                    f'{name}: num_repeats={repeats} needs '
                    f"collate_fn=dict(type='repeat_pseudo_collate'), got {collate}"
                )


def _unread_options(cfg: Config, loaders: tuple[str, ...]) -> Iterator[str]:
    """Options in dicts that MMEngine and MMAction2 take whole and look up keys of."""
    given = []
    if 'train_dataloader' in loaders:
        wrapper = cfg.get('optim_wrapper')
        wrapper = wrapper if isinstance(wrapper, dict) else {}  # it may be built
        if _name(wrapper.get('constructor') or _DEFAULT) == _DEFAULT:
            paramwise = wrapper.get('paramwise_cfg') or {}
            given.append(('optim_wrapper.paramwise_cfg', paramwise, _PARAMWISE))
            for key, factors in (paramwise.get('custom_keys') or {}).items():
                name = f'optim_wrapper.paramwise_cfg.custom_keys[{key!r}]'
                given.append((name, factors, ('lr_mult', 'decay_mult')))
        given.append(('auto_scale_lr', cfg.get('auto_scale_lr'), ('enable', 'base_batch_size')))
    for name, options, read in given:
        for key in options if isinstance(options, dict) else ():
            if key not in read and key != '_scope_':
                yield f'{name}: {key} is read by nobody; accepted are {", ".join(read)}'
    model = cfg.get('model')
    test_cfg = model.get('test_cfg') if isinstance(model, dict) else None
    if isinstance(test_cfg, dict) and 'average_clips' in test_cfg:
        yield (
            'model.test_cfg: average_clips is read by nobody since MMAction2 1.0; set '
            f'model.cls_head.average_clips={test_cfg["average_clips"]!r}'
        )


def _synchronized_batch_norm(cfg: Config, loaders: tuple[str, ...]) -> Iterator[str]:
    """torch's refuses CPUs, at the first step; one process is not asked to; mmcv-lite has none."""
    for place, holder in (('', cfg), ('strategy.', cfg.get('strategy') or {})):
        value = holder.get('sync_bn')
        several = 'train_dataloader' in loaders and cfg.get('launcher', 'none') != 'none'
        if value and several and get_device() == 'cpu':
            yield (
                f'{place}sync_bn={value!r}: synchronized BatchNorm needs GPUs, and this training '
                'is on CPUs; leave it out, or train the whole batch in one process'
            )
        elif value == 'mmcv' and several and find_spec('mmcv._ext') is None:
            yield (
                f"{place}sync_bn='mmcv' needs the compiled operators of mmcv, which mmcv-lite has "
                "not; sync_bn='torch' needs torch alone"
            )


def _class_counts(cfg: Config, loaders: tuple[str, ...]) -> Iterator[str]:
    """The number of classes, wherever the config says one, and lines of the label map."""
    found = {}
    model = cfg.get('model')
    head = model.get('cls_head') if isinstance(model, dict) else None
    if not isinstance(head, dict) or not isinstance(head.get('num_classes'), int):
        return
    found['model.cls_head.num_classes'] = head.num_classes
    if 'train_dataloader' in loaders and cfg.get('train_dataloader'):
        blending = (model.get('data_preprocessor') or {}).get('blending')
        found |= _numbers(blending, 'model.data_preprocessor.blending')
    for name, loader in _loaders(cfg, loaders):
        for dataset in datasets(loader.get('dataset')):
            if isinstance(dataset.get('num_classes'), int):
                found[f'{name}.dataset.num_classes'] = dataset.num_classes
            if path := label_map(dataset):
                lines = path.read_text(encoding='utf-8-sig', errors='replace').split('\n')
                found[f'the number of lines of {path}'] = sum(bool(line.strip()) for line in lines)
    if len(set(found.values())) > 1:
        said = ', '.join(f'{place} is {count}' for place, count in found.items())
        yield f'the number of classes must be one everywhere: {said}'


def _several_labels(cfg: Config, loaders: tuple[str, ...]) -> Iterator[str]:
    """What does not fit data with several labels a clip, or is for such data alone."""
    several = {
        f'{name}.dataset.multi_class': bool(dataset.get('multi_class'))
        for name, loader in _loaders(cfg, loaders)
        for dataset in datasets(loader.get('dataset'))
    }
    metrics = [
        (f'{name}_evaluator', metric)
        for name in ('val', 'test')
        if f'{name}_dataloader' in loaders
        for metric in _metrics(cfg.get(f'{name}_evaluator'))
    ]
    if not any(several.values()):
        for name, metric in metrics:
            if _name(metric.get('type')) == 'MultiLabelMetric' and several:
                yield f'{name}: MultiLabelMetric needs data with multi_class=True, got False'
        return
    model = cfg.get('model')
    head = model.get('cls_head') if isinstance(model, dict) else None
    if isinstance(head, dict):
        several['model.cls_head.multi_class'] = bool(head.get('multi_class'))
        loss = _name((head.get('loss_cls') or {}).get('type', 'CrossEntropyLoss'))
        if 'train_dataloader' in loaders and loss == 'CrossEntropyLoss':
            yield (
                'model.cls_head.loss_cls: CrossEntropyLoss is of one label a clip; with '
                "multi_class=True set loss_cls=dict(type='BCELossWithLogits')"
            )
        if head.get('average_clips') == 'prob':
            yield (
                "model.cls_head.average_clips: 'prob' is a softmax, in which classes exclude each "
                "other; with multi_class=True set average_clips='score'"
            )
    if len(set(several.values())) > 1:
        said = ', '.join(f'{place} is {value}' for place, value in several.items())
        yield f'multi_class must be one everywhere: {said}'
    for name, metric in metrics:
        kind, figures = _name(metric.get('type')), metric.get('metric_list')
        figures = [figures] if isinstance(figures, str) else figures or ['top_k_accuracy']
        of_one = kind in ('AccMetric', 'CheckedAccMetric') and {*figures} & {*_OF_ONE_LABEL}
        if of_one or kind in ('ClassAccMetric', 'ConfusionMatrix'):
            yield (
                f'{name}: {", ".join(of_one or [kind])} is of one label a clip; with '
                "multi_class=True use dict(type='MultiLabelMetric')"
            )


def _metrics(evaluator: Any) -> Iterator[dict]:
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        if isinstance(metric, dict):
            yield metric


def _name(kind: Any) -> str:
    """The name of a component without its scope; components may be classes."""
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def _numbers(node: Any, path: str) -> dict[str, int]:
    children = ()
    if isinstance(node, dict):
        children = node.items()
    elif isinstance(node, list | tuple):
        children = enumerate(node)
    found = {}
    for key, child in children:
        if key == 'num_classes' and isinstance(child, int):
            found[f'{path}.num_classes'] = child
        found |= _numbers(child, f'{path}.{key}')
    return found


def label_map(dataset: dict) -> Path | None:
    """``label_map.txt`` beside a dataset's list, as ``prepare.py`` writes it, if it is there."""
    root = dataset.get('data_root')
    path = Path(root or '', 'label_map.txt')
    return path if isinstance(root, str) and path.is_file() else None


def other_roots(cfg: Config) -> Iterator[str]:
    """Folders of lists or clips that differ among loaders, but for train, val or test in them."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name, loader in _loaders(cfg, LOADERS):
        for dataset in datasets(loader.get('dataset')):
            root = dataset.get('data_root')
            if isinstance(root, str):
                place = f'{name}.dataset.data_root'
                found.setdefault('data roots', {})[place] = root, root
            prefixes = dataset.get('data_prefix')
            for kind, prefix in prefixes.items() if isinstance(prefixes, dict) else ():
                if isinstance(prefix, str):
                    place = f'{name}.dataset.data_prefix.{kind}'
                    folder = os.path.join(root if isinstance(root, str) else '', prefix)
                    found.setdefault(f'folders of {kind}', {})[place] = prefix, folder
    for what, places in found.items():
        if len({_plain(folder) for _, folder in places.values()}) > 1:
            said = ', '.join(f'{place} is {value!r}' for place, (value, _) in places.items())
            yield f'the loaders read from several {what}: {said}'
            return  # a root is in its folders


def _plain(folder: str) -> str:
    return os.path.normpath(re.sub(r'train(ing)?|val(id(ation)?)?|test(ing)?', '', folder))
