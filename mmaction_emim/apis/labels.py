"""The names of a network's classes, from whoever knows them."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmaction_emim.datasets.annotations import read_labels
from mmaction_emim.evaluation.protocol import tested_datasets

FILES = ('label_map.txt', 'classes.txt', 'labels.json')  # as our tools write them


def class_names(
    cfg: Config,
    num_classes: int,
    labels: str | Path | Sequence[str] | None = None,
    dataset_meta: dict[str, Any] | None = None,
) -> list[str] | None:
    """The names in the order of the labels; None where nobody knows them.

    Args:
        cfg: The network's config. Its ``test_evaluator`` may name a ``label_map``, and a label map
            may lie in the tested data set's ``data_root``.
        num_classes: How many there must be.
        labels: The names, or a file of them as :func:`.read_labels` takes it; goes before all else.
        dataset_meta: What the checkpoint says of its data; ``classes`` goes before the config.

    Raises:
        ValueError: ``labels`` has another number of names, or is no such file.
        FileNotFoundError: There is no such file.
    """
    if labels is not None:
        is_file = isinstance(labels, str | Path)
        names = read_labels(Path(labels)) if is_file else [str(name) for name in labels]
        if len(names) != num_classes:
            where = labels if is_file else 'labels'
            raise ValueError(f'{where}: {len(names)} names, but the network has {num_classes}')
        return names
    for where, names in _known(cfg, dataset_meta):
        if len(names) == num_classes:
            return names
        message = f'{where}: {len(names)} names of classes, but the network has {num_classes}'
        print_log(f'{message}; not used', 'current', logging.WARNING)
    return None


def _known(cfg: Config, dataset_meta: dict[str, Any] | None) -> Iterator[tuple[str, list[str]]]:
    classes = (dataset_meta or {}).get('classes')
    if isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes):
        yield 'the checkpoint', list(classes)
    evaluators = cfg.get('test_evaluator') or []
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if (path := evaluator.get('label_map')) and Path(path).is_file():
            yield path, read_labels(Path(path))
    root = tested_datasets(cfg)[0].get('data_root')
    for path in (Path(root) / name for name in FILES) if root else ():
        if path.is_file():
            yield str(path), read_labels(path)
