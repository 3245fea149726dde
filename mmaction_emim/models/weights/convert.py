"""What tools/convert/convert_emim.py and convert_uniformer.py share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor

from mmaction_emim.models.checkpoint import (
    OUR_HEAD,
    from_authors,
    inflate,
    to_authors,
    weights_of,
)

MOTION = ('.attn.rpb', '.attn.motion_conv.')


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
        num_classes: Of the network it is for. A head of another number is dropped. Defaults to
            the checkpoint's own.
        emim: Whether the network alternates EMIM and global attention; False: UniFormer.

    Returns:
        The weights with our names and shapes, and the report. ``missing`` is what the network
        needs and neither the source nor a fresh start can give.
    """
    ours = from_authors(weights)
    expected = _expected(weights, num_classes, emim)
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
    depth, embed_dim = [], []
    for stage in '1234':
        projection = weights.get(f'patch_embed{stage}.proj.weight')
        blocks = {int(name.split('.')[1]) for name in weights if name.startswith(f'blocks{stage}.')}
        if projection is None:
            raise ValueError(
                f"checkpoint: no patch_embed{stage}.proj.weight in it: not the authors' names; "
                f'got {list(weights)[:3]}'
            )
        depth.append(max(blocks, default=-1) + 1)
        embed_dim.append(projection.shape[0])
    motion = next((x for name, x in weights.items() if name.endswith('motion_conv.2.bias')), None)
    bias = next((x for name, x in weights.items() if name.endswith('.attn.rpb')), None)
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
                window=7 if bias is None else bias.shape[-1],
                alternation='LG' if emim else 'G',
            ),
            cls_head=dict(type='I3DHead', num_classes=num_classes, in_channels=embed_dim[-1]),
        )
    )
    return model.state_dict()


def reorder_head(weights: dict[str, Tensor], label_map: Path, reverse: bool) -> None:
    """Move a head's rows from the names' alphabetical order to their order in ``label_map``.

    Args:
        weights: With our names; changed in place.
        label_map: One class name a line.
        reverse: Whether to move them back.

    Raises:
        ValueError: The list has another number of names than the head has rows.
    """
    names = [line.strip() for line in label_map.read_text().splitlines() if line.strip()]
    rows = torch.tensor(sorted(range(len(names)), key=names.__getitem__))
    if not reverse:
        rows = rows.argsort()
    for name in (f'{OUR_HEAD}weight', f'{OUR_HEAD}bias'):
        if name in weights and len(weights[name]) != len(names):
            raise ValueError(
                f'{label_map}: expected {len(weights[name])} names, as the head, got {len(names)}'
            )
        if name in weights:
            weights[name] = weights[name][rows]


def main(description: str, emim: bool) -> None:
    """The command line of both tools; exits with 1 when something expected is missing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', type=Path, help='checkpoint to read')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--reverse', action='store_true', help="ours to the authors'")
    parser.add_argument(
        '--num-classes', type=int, help="drop a head of another number; default: the checkpoint's"
    )
    parser.add_argument(
        '--label-map',
        type=Path,
        help="the authors' classes are these names sorted, ours in this order (Something-Something "
        'V1): move the head accordingly',
    )
    args = parser.parse_args()

    weights = weights_of(torch.load(args.src, map_location='cpu', weights_only=True))
    if args.reverse:
        if args.label_map:
            reorder_head(weights, args.label_map, reverse=True)
        weights = to_authors(weights)
    ours, report = convert(weights, args.num_classes, emim)
    for what, names in report._asdict().items():
        print(f'{what:8}{len(names)}')
        for name in names if what != 'used' else []:
            print(f'        {name}')
    if report.missing:
        kind = 'EMIM-UniFormer' if emim else 'UniFormer'
        raise ValueError(
            f'{args.src}: {len(report.missing)} weights of {kind} missing or of another shape, '
            f'such as {report.missing[0]}; nothing was written'
        )
    if args.reverse:
        torch.save(dict(model_state=to_authors(ours)), args.dst)
    else:
        if args.label_map:
            reorder_head(ours, args.label_map, reverse=False)
        torch.save(dict(state_dict=ours, meta={}), args.dst)
    print(f'{args.src} -> {args.dst}')
