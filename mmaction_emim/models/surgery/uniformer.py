"""UniFormer: blocks on (B, C, T, H, W); stages 3 and 4 have global space-time attention."""

from mmaction.models.backbones import UniFormer
from mmaction.models.backbones.uniformer import SABlock

from mmaction_emim.models.backbones.emim_uniformer import EMIMBlock

from .insertion_point import InsertionPoint, replace_block
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
                # The block flattens its tokens before the attention sees them.
                point.replace = replace_block(name, EMIMBlock)
            found.append(point)
    return found
