"""VisionTransformer (VideoMAE): blocks on (B, T*H*W, C) with joint space-time attention."""

from mmaction.models.backbones import VisionTransformer
from torch import nn

from .insertion_point import InsertionPoint, set_submodule
from .layouts import LayoutAdapter, TimeMajor

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

        def replace(backbone, module, attention=f'blocks.{i}.attn'):
            LayoutAdapter(layout).attach(module)
            set_submodule(backbone, attention, module)

        dim, heads = block.attn.embed_dims, block.attn.num_heads
        point = InsertionPoint(
            f'blocks.{i}', 1, dim, layout, heads, f'blocks.{i}.attn', replace=replace
        )
        found.append(point)
    return found
