"""TimeSformer: ViT blocks with a class token; divided, joint, or space-only attention."""

from mmaction.models.backbones import TimeSformer

from .insertion_point import InsertionPoint, replace_in_layout
from .layouts import FrameSequences, PatchMajor, PatchSequences

BACKBONES = (TimeSformer,)


def insertion_points(backbone: TimeSformer) -> list[InsertionPoint]:
    """Every layer; with divided attention a module replaces the attention over time."""
    embed = backbone.patch_embed
    grid = [side // patch for side, patch in zip(embed.img_size, embed.patch_size, strict=True)]
    T = backbone.num_frames
    if backbone.attention_type == 'space_only':
        layout = FrameSequences(T, grid, batch_first=True)
    else:
        layout = PatchMajor(T, grid)
    found = []
    for i, layer in enumerate(backbone.transformer_layers.layers):
        name = f'transformer_layers.layers.{i}'
        attention = f'{name}.attentions.0.attn'
        heads = layer.attentions[0].num_heads
        point = InsertionPoint(name, 1, backbone.embed_dims, layout, heads, attention)
        if backbone.attention_type == 'divided_space_time':
            point.over_time_only = True
            point.replace = replace_in_layout(attention, PatchSequences(grid), 'tuple')
        else:
            point.unsupported_reason = (
                f'attention_type={backbone.attention_type!r} has none over time'
            )
        found.append(point)
    return found
