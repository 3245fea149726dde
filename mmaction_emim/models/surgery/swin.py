"""SwinTransformer3D: blocks on (B, T, H, W, C) whose attention sees windows of the clip."""

import torch
from mmaction.models.backbones import SwinTransformer3D
from mmaction.models.backbones.swin import SwinTransformerBlock3D
from mmengine.model import BaseModule
from torch import Tensor, nn

from .insertion_point import InsertionPoint, replace_block
from .layouts import ChannelsLast

BACKBONES = (SwinTransformer3D,)


class SwinMotionBlock(BaseModule):
    """Swin's block with a motion module on the whole clip for its window attention.

    Args:
        block: The block to take the other layers from.
        attn: Motion module on (B, T, H, W, C).
    """

    def __init__(self, block: SwinTransformerBlock3D, attn: nn.Module) -> None:
        super().__init__()
        self.norm1 = block.norm1
        self.attn = attn
        self.drop_path = block.drop_path
        self.norm2 = block.norm2
        self.mlp = block.mlp
        self.with_cp = block.with_cp

    def forward(self, x: Tensor, mask_matrix: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C); the mask of shifted windows is not used."""
        if self.with_cp and self.training:
            return torch.utils.checkpoint.checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def insertion_points(backbone: SwinTransformer3D) -> list[InsertionPoint]:
    """Every block of every stage."""
    found = []
    for stage, layer in enumerate(backbone.layers, start=1):
        for i, block in enumerate(layer.blocks):
            name = f'layers.{stage - 1}.blocks.{i}'
            point = InsertionPoint(name, stage, block.embed_dims, ChannelsLast(), block.num_heads)
            point.attention = f'{name}.attn'
            point.replace = replace_block(name, SwinMotionBlock)
            found.append(point)
    return found
