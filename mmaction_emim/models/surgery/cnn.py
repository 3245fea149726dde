"""Convolutional networks on images or clips: a module goes before a convolution of a residual
block, so the identity path stays as it is.

With TSM, the shift comes after the module, as M2A's authors have it.
"""

from mmaction.models.backbones import C2D, X3D, MobileNetV2, ResNet, ResNet3d, ResNet3dSlowFast
from mmaction.models.backbones.mobilenet_v2 import InvertedResidual
from mmaction.models.backbones.resnet import BasicBlock, Bottleneck
from mmaction.models.backbones.resnet3d import BasicBlock3d, Bottleneck3d
from mmaction.models.backbones.x3d import BlockX3D
from torch import nn

from .insertion_point import InsertionPoint
from .layouts import ChannelsFirst, Images, Layout

# Subclasses come along: ResNetTSM and TANet, MobileNetV2TSM, SlowOnly, CSN and R(2+1)D.
BACKBONES = (ResNet, MobileNetV2, C2D, ResNet3d, ResNet3dSlowFast, X3D)
CONVOLUTIONS = ('conv1', 'conv2', 'conv3')
BLOCKS = (BasicBlock, Bottleneck, BasicBlock3d, Bottleneck3d, BlockX3D)


class _FramesOfInput:
    """A hook before C2D, which is called with clips and hands its layers single frames."""

    def __init__(self, layouts: dict[int, Images]) -> None:
        self.layouts = layouts

    def __call__(self, backbone: nn.Module, args: tuple) -> None:
        for stage, layout in self.layouts.items():
            # A pool of stride 2 over time follows the first stage.
            layout.num_frames = args[0].shape[2] // (1 if stage == 1 else 2)


def insertion_points(
    backbone: nn.Module, num_segments: int | None, before: str
) -> list[InsertionPoint]:
    """One convolution of every residual block.

    Args:
        num_segments: Frames T of a clip, for backbones on single frames that do not know it.
        before: ``'conv1'``, ``'conv2'`` or ``'conv3'``.

    Raises:
        ValueError: ``num_segments`` is needed, or ``before`` is not as above.
    """
    if before not in CONVOLUTIONS:
        raise ValueError(f'MotionBackbone: before: got {before!r}; accepted are {CONVOLUTIONS}')
    layouts = _layouts(backbone, num_segments)
    found = []
    for name, block in backbone.named_modules():
        if isinstance(block, BLOCKS) and hasattr(block, before):
            convolution = before
        elif isinstance(block, InvertedResidual) and block.use_res_connect and len(block.conv) == 3:
            convolution = f'conv.{CONVOLUTIONS.index(before)}'
        else:
            continue
        layers = block.get_submodule(convolution).modules()
        dim = next(m.in_channels for m in layers if isinstance(m, nn.Conv2d | nn.Conv3d))
        stage = next(int(part[5:]) for part in name.split('.') if part.startswith('layer'))
        found.append(InsertionPoint(f'{name}.{convolution}', stage, dim, layouts[stage]))
    return found


def _layouts(backbone: nn.Module, num_segments: int | None) -> dict[int, Layout]:
    """The layout of every stage."""
    stages = range(1, 9)
    if isinstance(backbone, C2D):
        layouts = {stage: Images(None) for stage in stages}
        backbone.register_forward_pre_hook(_FramesOfInput(layouts))
        return layouts
    if not isinstance(backbone, ResNet | MobileNetV2):
        return dict.fromkeys(stages, ChannelsFirst())
    T = getattr(backbone, 'num_segments', num_segments)
    if not T:
        raise ValueError(
            f'MotionBackbone: num_segments must be the frames of a clip, since '
            f'{type(backbone).__name__} is given single frames, got {num_segments}'
        )
    pooled = getattr(backbone, 'temporal_pool', False)
    return {stage: Images(T // 2 if pooled and stage > 1 else T) for stage in stages}
