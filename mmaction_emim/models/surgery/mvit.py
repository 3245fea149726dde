"""MViT: blocks on (B, [class] + T*H*W, C) that are called with (T, H, W); some pool it."""

from mmaction.models.backbones import MViT

from .insertion_point import InsertionPoint, replace_in_layout
from .layouts import TimeMajor

BACKBONES = (MViT,)


def insertion_points(backbone: MViT) -> list[InsertionPoint]:
    """Every block; a module cannot replace an attention that pools the grid or widens C."""
    layout = TimeMajor(backbone.with_cls_token)
    found = []
    stage = 1
    for i, block in enumerate(backbone.blocks):
        name = f'blocks.{i}'
        stage += i in backbone.downscale_indices
        attn = block.attn
        point = InsertionPoint(name, stage, block.in_dims, layout, attn.num_heads, f'{name}.attn')
        if block.pool_skip is not None:
            point.unsupported_reason = 'its attention pools the grid of tokens'
        elif attn.in_dims != attn.out_dims:
            point.unsupported_reason = (
                f'its attention widens {attn.in_dims} to {attn.out_dims} channels'
            )
        else:
            point.replace = replace_in_layout(point.attention, layout, 'size')
        found.append(point)
    return found
