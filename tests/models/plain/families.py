"""Small networks of timm and transformers, from their own classes; nothing is downloaded."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

GRID = 3, 2, 2  # of 6 frames in tubes of 2, or of 3 images; 16 x 16 pixels, patches of 8
SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)


class Family(NamedTuple):
    """How a network is built, called and reached into.

    Attributes:
        build: Makes it; the argument is the library.
        inputs: Name and shape of its input, two clips.
        layers: Pattern of the layers, and of the attention in them.
        order: Of the layers' tokens, and of the attention's.
        prefix: Tokens before the grid, in the layers and in the attention.
    """

    build: Callable[..., nn.Module]
    inputs: tuple[str, tuple[int, ...]]
    layers: tuple[str, str]
    order: tuple[str, str] = ('clip', 'clip')
    prefix: tuple[int, int] = (0, 0)


IMAGES = 'pixel_values', (6, 3, 16, 16)
CLIPS = 'pixel_values', (2, 6, 3, 16, 16)


def timm_vit(timm) -> nn.Module:
    return timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=5
    )


def of(name: str, **options) -> Callable[..., nn.Module]:
    def build(transformers) -> nn.Module:
        config = getattr(transformers, f'{name}Config')(**{**SIZES, **options})
        model = f'{name}Model' if hasattr(transformers, f'{name}Model') else name
        return getattr(transformers, model)(config)

    return build


FAMILIES = {
    'timm ViT': Family(
        timm_vit, ('x', IMAGES[1]), ('blocks.*', 'blocks.*.attn'), ('image',) * 2, (1, 1)
    ),
    'DINOv2': Family(
        of('Dinov2', image_size=16, patch_size=8, mlp_ratio=2),
        IMAGES,
        ('encoder.layer.*', 'encoder.layer.*.attention'),
        ('image',) * 2,
        (1, 1),
    ),
    'DINOv3': Family(
        of('DINOv3ViT', image_size=16, patch_size=8, num_register_tokens=4),
        IMAGES,
        ('model.layer.*', 'model.layer.*.attention'),
        ('image',) * 2,
        (5, 5),
    ),
    'SigLIP': Family(
        of('SiglipVision', image_size=16, patch_size=8),
        IMAGES,
        ('encoder.layers.*', 'encoder.layers.*.self_attn'),
        ('image',) * 2,
    ),
    'VideoMAE': Family(
        of('VideoMAE', image_size=16, patch_size=8, num_frames=6, tubelet_size=2),
        CLIPS,
        ('encoder.layer.*', 'encoder.layer.*.attention'),
    ),
    'TimeSformer': Family(
        of('Timesformer', image_size=16, patch_size=8, num_frames=3),
        ('pixel_values', (2, 3, 3, 16, 16)),
        ('encoder.layer.*', 'encoder.layer.*.temporal_attention'),
        ('patch', 'track'),
        (1, 0),
    ),
    'ViViT': Family(
        of('Vivit', image_size=16, num_frames=6, tubelet_size=[2, 8, 8]),
        CLIPS,
        ('layers.*', 'layers.*.attention'),
        prefix=(1, 1),
    ),
    'V-JEPA 2': Family(
        of(
            'VJEPA2', crop_size=16, patch_size=8, frames_per_clip=6, tubelet_size=2, mlp_ratio=2.0,
            pred_hidden_size=16, pred_num_attention_heads=2, pred_num_hidden_layers=1,
        ),
        ('pixel_values_videos', CLIPS[1]),
        ('encoder.layer.*', 'encoder.layer.*.attention'),
    ),
}  # fmt: skip


def need(name: str) -> ModuleType:
    """timm or transformers; skips where its models cannot be imported, and says why."""
    try:
        import_module({'transformers': 'transformers.modeling_utils'}.get(name, name))
        return import_module(name)
    except (ImportError, RuntimeError) as error:  # torchvision's, where it does not fit
        pytest.skip(f'{name} cannot be imported: {error}')


def build(name: str) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """A network in evaluation mode, and what gives its tokens for two fixed clips."""
    library = need('timm' if name.startswith('timm') else 'transformers')
    torch.manual_seed(0)
    family = FAMILIES[name]
    model = family.build(library).eval()
    for parameter in model.parameters():  # LayerScale of 0 and the like would hide what is inside
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    argument, shape = family.inputs
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    extra = dict(skip_predictor=True) if name == 'V-JEPA 2' else {}

    def tokens(model: nn.Module) -> Tensor:
        if argument == 'x':
            return model.forward_features(x)
        return model(**{argument: x}, **extra).last_hidden_state

    return model, tokens
