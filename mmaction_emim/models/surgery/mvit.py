"""MViT: blocks on (B, [class] + T*H*W, C) that are called with (T, H, W); some pool it."""

from mmaction.models.backbones import MViT

from .layouts import FrameByFrame, ViaLayout
from .places import Place, set_submodule

BACKBONES = (MViT,)


def places(backbone: MViT) -> list[Place]:
    """Every block; a module cannot replace an attention that pools the grid or widens C."""
    layout = FrameByFrame(backbone.with_cls_token)
    found = []
    stage = 1
    for i, block in enumerate(backbone.blocks):
        name = f'blocks.{i}'
        stage += i in backbone.downscale_indices
        attn = block.attn
        place = Place(name, stage, block.in_dims, layout, attn.num_heads, f'{name}.attn')
        if block.pool_skip is not None:
            place.why_not = 'its attention pools the grid of tokens'
        elif attn.in_dims != attn.out_dims:
            place.why_not = f'its attention widens {attn.in_dims} to {attn.out_dims} channels'
        else:

            def replace(backbone, module, attention=f'{name}.attn'):
                ViaLayout(layout, 'size').attach(module)
                set_submodule(backbone, attention, module)

            place.replace = replace
        found.append(place)
    return found
