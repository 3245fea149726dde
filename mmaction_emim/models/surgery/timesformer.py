"""TimeSformer: ViT blocks with a class token; divided, joint, or space-only attention."""

from mmaction.models.backbones import TimeSformer

from .layouts import ClassAndImages, PlaceByPlace, TimeFirst, ViaLayout
from .places import Place, set_submodule

BACKBONES = (TimeSformer,)


def places(backbone: TimeSformer) -> list[Place]:
    """Every layer; with divided attention a module replaces the attention over time."""
    embed = backbone.patch_embed
    grid = [side // patch for side, patch in zip(embed.img_size, embed.patch_size, strict=True)]
    T = backbone.num_frames
    if backbone.attention_type == 'space_only':
        layout = ClassAndImages(T, grid, batch_first=True)
    else:
        layout = PlaceByPlace(T, grid)
    found = []
    for i, layer in enumerate(backbone.transformer_layers.layers):
        name = f'transformer_layers.layers.{i}'
        attention = f'{name}.attentions.0.attn'
        heads = layer.attentions[0].num_heads
        place = Place(name, 1, backbone.embed_dims, layout, heads, attention)
        if backbone.attention_type == 'divided_space_time':
            place.over_time_only = True

            def replace(backbone, module, attention=attention):
                ViaLayout(TimeFirst(grid), 'tuple').attach(module)
                set_submodule(backbone, attention, module)

            place.replace = replace
        else:
            place.why_not = f'attention_type={backbone.attention_type!r} has none over time'
        found.append(place)
    return found
