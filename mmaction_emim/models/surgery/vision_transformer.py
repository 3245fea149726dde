"""VisionTransformer (VideoMAE): blocks on (B, T*H*W, C) with joint space-time attention."""

from mmaction.models.backbones import VisionTransformer
from torch import nn

from .insertion_point import InsertionPoint, replace_in_layout
from .layouts import TimeMajor

BACKBONES = (VisionTransformer,)


class _GridOfInput:
    """A hook before the backbone: its blocks see a sequence only, its input has H and W."""

    def __init__(self, layout: TimeMajor, patch_size: int) -> None:
        self.layout = layout
        self.patch_size = patch_size

    def __call__(self, backbone: nn.Module, args: tuple) -> None:
        H, W = args[0].shape[-2:]
        self.layout.grid = (H // self.patch_size, W // self.patch_size)


def insertion_points(backbone: VisionTransformer) -> list[InsertionPoint]:
    """Every block."""
    layout = TimeMajor(with_class=False)
    backbone.register_forward_pre_hook(_GridOfInput(layout, backbone.patch_size))
    found = []
    for i, block in enumerate(backbone.blocks):
        name, attn = f'blocks.{i}', block.attn
        point = InsertionPoint(name, 1, attn.embed_dims, layout, attn.num_heads, f'{name}.attn')
        point.replace = replace_in_layout(point.attention, layout)
        found.append(point)
    return found
