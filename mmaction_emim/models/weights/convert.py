"""Checkpoints of EMIM's and UniFormer's authors as ours, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor

from mmaction_emim.utils.files import read_text

from .authors import OUR_HEAD, CheckpointError, from_authors, inflate, to_authors, weights_of


class Report(NamedTuple):
    """Names, ours: taken over, left to the network's own start, in the source for nothing."""

    used: list[str]
    new: list[str]
    dropped: list[str]
    missing: list[str]


def convert(
    weights: Mapping[str, Tensor], num_classes: int | None = None, emim: bool = True
) -> tuple[dict[str, Tensor], Report]:
    """The authors' weights as ours.

    Args:
        weights: A state dict with the authors' names; sizes and depths are read from it.
        num_classes: Classes of the network it is for. A head of another number is dropped.
            Defaults to the checkpoint's own.
        emim: Whether the network alternates EMIM and global attention; False: UniFormer.

    Returns:
        The weights with our names and shapes, and the report. ``missing`` is what the network
        needs and neither the source nor a fresh start can give.

    Raises:
        CheckpointError: The names or the sizes are of another network.
    """
    ours = from_authors(weights)
    try:
        expected = _expected(weights, num_classes, emim)
    except CheckpointError:
        raise
    except Exception as error:  # of any class, as the sizes are wrong
        raise CheckpointError(f'checkpoint: its sizes are of no network: {error}') from error
    head = ours.get(f'{OUR_HEAD}weight')
    fresh_head = head is None or head.shape != expected[f'{OUR_HEAD}weight'].shape
    used, new, missing = {}, [], []
    for name, x in expected.items():
        weight = inflate(ours[name], x.shape) if name in ours else None
        if weight is not None and weight.shape == x.shape:
            used[name] = weight
        elif (name.startswith(OUR_HEAD) and fresh_head) or name.endswith('.num_batches_tracked'):
            new.append(name)
        else:
            missing.append(name)
    dropped = [name for name in ours if name not in used]
    return used, Report(list(used), new, dropped, missing)


def _expected(
    weights: Mapping[str, Tensor], num_classes: int | None, emim: bool
) -> dict[str, Tensor]:
    """The network's own state dict, on no device, of the sizes found in the checkpoint."""
    for name, x in weights.items():
        if x.layout != torch.strided or x.is_meta or x.is_quantized:
            raise CheckpointError(f'checkpoint: {name} is no plain tensor ({x.layout}, {x.device})')
        if x.numel() * x.element_size() > x.untyped_storage().nbytes():
            raise CheckpointError(f'checkpoint: {name} {tuple(x.shape)} has fewer numbers')
    depth, embed_dim = [], []
    for stage in '1234':
        projection = weights.get(f'patch_embed{stage}.proj.weight')
        blocks = {int(name.split('.')[1]) for name in weights if name.startswith(f'blocks{stage}.')}
        if projection is None:
            raise CheckpointError(
                f"checkpoint: no patch_embed{stage}.proj.weight in it: not the authors' names; "
                f'got {list(weights)[:3]}'
            )
        if blocks != set(range(len(blocks))):
            raise CheckpointError(f'checkpoint: blocks{stage} are {sorted(blocks)[:9]}, with a gap')
        depth.append(len(blocks))
        embed_dim.append(projection.shape[0])
    motion = next((x for name, x in weights.items() if name.endswith('motion_conv.2.bias')), None)
    bias = next((x for name, x in weights.items() if name.endswith('.attn.rpb')), None)
    window = 7 if bias is None else bias.shape[-1]
    if num_classes is None:
        num_classes = len(weights['head.weight']) if 'head.weight' in weights else 1
    init_default_scope('mmaction')
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(
                type='EMIMUniFormer',
                depth=depth,
                spatial_stride=weights['patch_embed1.proj.weight'].shape[-1],
                embed_dim=embed_dim,
                head_dim=64 if motion is None else len(motion),
                **(dict(window=window) if emim else dict(alternation='G')),
            ),
            cls_head=dict(type='I3DHead', num_classes=num_classes, in_channels=embed_dim[-1]),
        )
    )
    return model.state_dict()


def reorder_head(weights: dict[str, Tensor], label_map: Path, reverse: bool) -> None:
    """Move a head's rows from the names' alphabetical order to their order in ``label_map``.

    Args:
        weights: A state dict with our names; changed in place.
        label_map: One class name a line.
        reverse: Whether to move them back.

    Raises:
        ValueError: The list is not UTF-8 text, or has another number of names than the head rows.
    """
    names = [line.strip() for line in read_text(label_map).splitlines() if line.strip()]
    rows = torch.tensor(sorted(range(len(names)), key=names.__getitem__))
    if not reverse:
        rows = rows.argsort()
    for name in (f'{OUR_HEAD}weight', f'{OUR_HEAD}bias'):
        if name in weights and not weights[name].dim():
            raise CheckpointError(f'checkpoint: {name} is one number')
        if name in weights and len(weights[name]) != len(names):
            raise ValueError(
                f'{label_map}: expected {len(weights[name])} names, as the head, got {len(names)}'
            )
        if name in weights:
            weights[name] = weights[name][rows]


def convert_checkpoint(
    checkpoint: Mapping[str, Any],
    num_classes: int | None = None,
    emim: bool = True,
    label_map: Path | None = None,
    reverse: bool = False,
) -> tuple[dict[str, dict], Report]:
    """A whole checkpoint of the authors as ours, or with ``reverse`` ours as theirs.

    Args:
        checkpoint: What ``torch.load`` gave.
        num_classes: As :func:`convert`.
        emim: As :func:`convert`.
        label_map: The authors' classes are these names sorted, ours in this order: the head is
            moved accordingly. Defaults to None: both have the same order.
        reverse: Whether ``checkpoint`` is ours.

    Returns:
        What to save, and the report of :func:`convert`.

    Raises:
        CheckpointError: The checkpoint is another network's.
        ValueError: ``label_map`` is another data set's.
    """
    weights = weights_of(checkpoint)
    if reverse:
        if label_map:
            reorder_head(weights, label_map, reverse=True)
        weights = to_authors(weights)
    ours, report = convert(weights, num_classes, emim)
    if reverse:
        return dict(model_state=to_authors(ours)), report
    if label_map:
        reorder_head(ours, label_map, reverse=False)
    return dict(state_dict=ours, meta={}), report
