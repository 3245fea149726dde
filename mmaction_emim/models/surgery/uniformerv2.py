"""UniFormerV2: CLIP's blocks on (1 + H*W, B*T, C), whose attention stays within a frame."""

from mmaction.models.backbones import UniFormerV2

from .layouts import ClassAndImages, ViaLayout
from .places import Place, set_submodule

BACKBONES = (UniFormerV2,)


def places(backbone: UniFormerV2) -> list[Place]:
    """Every block of the image network; the global blocks that read it are left alone."""
    side = backbone.input_resolution // backbone.conv1.kernel_size[-1]
    layout = ClassAndImages(backbone.transformer.T, (side, side), batch_first=False)
    found = []
    for i, block in enumerate(backbone.transformer.resblocks):
        name = f'transformer.resblocks.{i}'

        def replace(backbone, module, attention=f'{name}.attn'):
            ViaLayout(layout, 'tuple').attach(module)
            set_submodule(backbone, attention, module)

        dim, heads = block.attn.embed_dim, block.n_head
        found.append(Place(name, 1, dim, layout, heads, f'{name}.attn', replace=replace))
    return found
