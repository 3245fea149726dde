"""Every family of backbones, small enough for a matrix of tests."""

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.models import motion

CLIP = (2, 3, 4, 32, 32)
IMAGES = (8, 3, 32, 32)  # two clips of four frames
TWO_STAGES = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
BLOCKS = dict(stage_blocks=(2, 2, 1, 1))
PATH = dict(
    **BLOCKS, type='resnet3d', depth=50, pretrained=None, conv1_kernel=(1, 7, 7), conv1_stride_t=1,
    pool1_stride_t=1,
)  # fmt: skip

# Name: (backbone, its input's shape, arguments of MotionBackbone when inserting)
ZOO = {
    'UniFormer': (
        dict(depth=[1, 1, 2, 2], embed_dim=[8, 16, 32, 32], head_dim=16, pretrained2d=False),
        (2, 3, 4, 64, 48),
        {},
    ),
    'UniFormerV2': (
        dict(
            input_resolution=32, patch_size=8, width=32, layers=3, heads=2, t_size=4, n_layers=2,
            return_list=[1, 2], n_dim=32, n_head=2, mlp_dropout=[0.0, 0.0], clip_pretrained=False,
            no_lmhra=False, double_lmhra=True,
        ),
        CLIP,
        {},
    ),
    'TimeSformer': (
        dict(
            num_frames=4, img_size=(32, 24), patch_size=8, embed_dims=32, num_heads=2,
            num_transformer_layers=2,
        ),
        (2, 3, 4, 32, 24),
        {},
    ),
    'SwinTransformer3D': (
        dict(
            arch=dict(embed_dims=16, depths=[2, 2, 1, 1], num_heads=[2, 2, 2, 2]),
            pretrained2d=False, window_size=(2, 3, 3),
        ),
        (2, 3, 6, 56, 40),  # no multiple of the window
        {},
    ),
    'MViT': (
        dict(
            arch=dict(embed_dims=16, num_layers=4, num_heads=1, downscale_indices=[1]),
            spatial_size=32, temporal_size=8, adaptive_kv_stride=(1, 2, 2),
        ),
        (2, 3, 8, 32, 32),
        {},
    ),
    'VisionTransformer': (
        dict(img_size=32, patch_size=8, embed_dims=32, depth=2, num_heads=2, num_frames=8),
        (2, 3, 8, 32, 48),  # another grid than its position embedding's
        {},
    ),
    'ResNet': (dict(depth=18, pretrained=None), IMAGES, dict(num_segments=4)),
    'ResNetTSM': (dict(depth=18, num_segments=4, pretrained2d=False), IMAGES, {}),
    'MobileNetV2TSM': (dict(num_segments=4, pretrained2d=False), IMAGES, {}),
    'TANet': (
        dict(depth=50, num_segments=4, pretrained=None, **TWO_STAGES), IMAGES, dict(stages=[2])
    ),
    'C2D': (dict(depth=50, pretrained=None, **TWO_STAGES), (2, 3, 4, 64, 64), dict(stages=[2])),
    'ResNet3d': (
        dict(depth=50, pretrained=None, pretrained2d=False, base_channels=8, conv1_stride_t=1,
             pool1_stride_t=1, **BLOCKS),
        (2, 3, 4, 32, 32),
        dict(stages=[1, 2]),
    ),
    'ResNet3dSlowOnly': (
        dict(depth=50, pretrained=None, pretrained2d=False, lateral=False, base_channels=8,
             **BLOCKS),
        CLIP,
        {},
    ),
    'ResNet3dSlowFast': (
        dict(pretrained=None, resample_rate=4, speed_ratio=4, channel_ratio=4,
             slow_pathway={**PATH, 'lateral': True, 'base_channels': 16},
             fast_pathway={**PATH, 'lateral': False, 'base_channels': 4}),
        (2, 3, 8, 32, 32),
        {},
    ),
    'ResNet2Plus1d': (
        dict(depth=18, pretrained=None, pretrained2d=False, base_channels=8,
             conv_cfg=dict(type='Conv2plus1d'), conv1_kernel=(3, 7, 7), conv1_stride_t=1,
             pool1_stride_t=1, inflate=(1, 1, 1, 1), temporal_strides=(1, 2, 2, 2)),
        (2, 3, 4, 32, 32),
        dict(stages=[1, 2]),
    ),
    'ResNet3dCSN': (
        dict(depth=50, pretrained=None, pretrained2d=False, with_pool2=False, base_channels=8,
             bottleneck_mode='ir', **BLOCKS),
        (2, 3, 16, 32, 32),
        dict(stages=[1, 2]),
    ),
    'X3D': (dict(gamma_w=1, gamma_b=2.25, gamma_d=1), CLIP, {}),
}  # fmt: skip
TRANSFORMERS = list(ZOO)[:6]
# One family of each layout of tokens, see surgery/layouts.py.
LAYOUTS = {
    'ChannelsFirst': 'UniFormer',
    'ChannelsLast': 'SwinTransformer3D',
    'FrameSequences': 'UniFormerV2',
    'Images': 'ResNetTSM',
    'PatchMajor': 'TimeSformer',
    'TimeMajor': 'VisionTransformer',
}
EMIM, M2A = 'EMIMAttention', 'MotionAwareAttention'
ATA = 'AlignmentGuidedTemporalAttention'
MOTION = {name: dict(type=name) for name in motion.__all__}
MOTION[EMIM]['window'] = 3


def evaluating(model: nn.Module) -> nn.Module:
    model.eval()  # upstream's eval() returns None in some families
    return model


@pytest.fixture(scope='session')
def plain() -> Callable[[str], nn.Module]:
    """Builds a family's backbone as upstream has it, in evaluation mode."""
    init_default_scope('mmaction')

    def build(family: str) -> nn.Module:
        torch.manual_seed(0)
        return evaluating(MODELS.build(dict(type=family, **ZOO[family][0])))

    return build


@pytest.fixture(scope='session')
def swapped() -> Callable[..., nn.Module]:
    """Builds a family's backbone with a motion module, in evaluation mode."""
    init_default_scope('mmaction')

    def build(family: str, motion: str, mode: str, **overrides: object) -> nn.Module:
        torch.manual_seed(1)
        backbone, _, inserting = ZOO[family]
        arguments = {**(inserting if mode == 'insert' else {}), **overrides}
        if mode == 'replace':
            arguments.pop('zero_init', None)  # of inserted modules only
        cfg = dict(type='MotionBackbone', backbone=dict(type=family, **backbone), mode=mode)
        return evaluating(MODELS.build({**cfg, 'motion': MOTION[motion], **arguments}))

    return build


@pytest.fixture(scope='session')
def clip() -> Callable[[str], torch.Tensor]:
    """A random input for a family."""

    def make(family: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(2)
        return torch.randn(ZOO[family][1], generator=generator)

    return make


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged during a test."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)
