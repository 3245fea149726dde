"""UniFormerV2: CLIP's blocks on (1 + H*W, B*T, C), whose attention stays within a frame."""

from mmaction.models.backbones import UniFormerV2

from .insertion_point import InsertionPoint, replace_in_layout
from .layouts import FrameSequences

BACKBONES = (UniFormerV2,)


def insertion_points(backbone: UniFormerV2) -> list[InsertionPoint]:
    """Every block of the image network; the global blocks that read it are left alone."""
    side = backbone.input_resolution // backbone.conv1.kernel_size[-1]
    layout = FrameSequences(backbone.transformer.T, (side, side), batch_first=False)
    found = []
    for i, block in enumerate(backbone.transformer.resblocks):
        name = f'transformer.resblocks.{i}'
        dim, heads = block.attn.embed_dim, block.n_head
        point = InsertionPoint(name, 1, dim, layout, heads, f'{name}.attn')
        point.replace = replace_in_layout(point.attention, layout, 'tuple')
        found.append(point)
    return found
