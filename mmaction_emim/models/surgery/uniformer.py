"""UniFormer: blocks on (B, C, T, H, W); stages 3 and 4 have global space-time attention."""

from mmaction.models.backbones import UniFormer
from mmaction.models.backbones.uniformer import SABlock
from torch import nn

from mmaction_emim.models.backbones.emim_uniformer import EMIMBlock

from .insertion_point import InsertionPoint, set_submodule
from .layouts import ChannelsFirst

BACKBONES = (UniFormer,)


def insertion_points(backbone: UniFormer) -> list[InsertionPoint]:
    """Every block of the four stages."""
    found = []
    for stage in range(1, 5):
        for i, block in enumerate(getattr(backbone, f'blocks{stage}')):
            name = f'blocks{stage}.{i}'
            dim = block.pos_embed.in_channels
            point = InsertionPoint(name, stage, dim, ChannelsFirst())
            if isinstance(block, SABlock):
                point.num_heads = block.attn.num_heads
                point.attention = f'{name}.attn'
                point.replace = _replace(name)
            found.append(point)
    return found


def _replace(name: str):
    # The block flattens its tokens before the attention sees them, so the block is replaced.
    def replace(backbone: UniFormer, module: nn.Module) -> None:
        set_submodule(backbone, name, EMIMBlock(backbone.get_submodule(name), module))

    return replace
