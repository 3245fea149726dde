"""UniFormer: blocks on (B, C, T, H, W); stages 3 and 4 have global space-time attention."""

from mmaction.models.backbones import UniFormer
from mmaction.models.backbones.uniformer import SABlock
from torch import nn

from mmaction_emim.models.backbones.emim_uniformer import EMIMBlock

from .layouts import ChannelsFirst
from .places import Place, set_submodule

BACKBONES = (UniFormer,)


def places(backbone: UniFormer) -> list[Place]:
    """Every block of the four stages."""
    found = []
    for stage in range(1, 5):
        for i, block in enumerate(getattr(backbone, f'blocks{stage}')):
            name = f'blocks{stage}.{i}'
            dim = block.pos_embed.in_channels
            place = Place(name, stage, dim, ChannelsFirst())
            if isinstance(block, SABlock):
                place.num_heads = block.attn.num_heads
                place.attention = f'{name}.attn'
                place.replace = _replace(name)
            found.append(place)
    return found


def _replace(name: str):
    # The block flattens its tokens before the attention sees them, so the block is replaced.
    def replace(backbone: UniFormer, module: nn.Module) -> None:
        set_submodule(backbone, name, EMIMBlock(backbone.get_submodule(name), module))

    return replace
