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
    backbone: nn.Module, num_segments: int | None, before: str | None
) -> list[InsertionPoint]:
    """One convolution of every residual block.

    Args:
        num_segments: Frames T of a clip, for backbones on single frames that do not know it.
        before: ``'conv1'``, ``'conv2'`` or ``'conv3'``. Defaults to ``'conv1'``.

    Raises:
        ValueError: ``num_segments`` is needed, has no effect, or is not the backbone's own;
            ``before`` is not as above, or no block has such a convolution.
    """
    layouts = _layouts(backbone, num_segments)
    found = {convolution: [] for convolution in CONVOLUTIONS}
    for name, block in backbone.named_modules():
        for convolution, child in _convolutions(block).items():
            layers = block.get_submodule(child).modules()
            dim = next(m.in_channels for m in layers if isinstance(m, nn.Conv2d | nn.Conv3d))
            stage = next(int(part[5:]) for part in name.split('.') if part.startswith('layer'))
            point = InsertionPoint(f'{name}.{child}', stage, dim, layouts[stage])
            found[convolution].append(point)
    accepted = [convolution for convolution, points in found.items() if points]
    before = 'conv1' if before is None else before
    if before not in accepted:
        raise ValueError(
            f'MotionBackbone: before: got {before!r}; accepted in {type(backbone).__name__} '
            f'are {accepted}'
        )
    return found[before]


def _convolutions(block: nn.Module) -> dict[str, str]:
    """Each convolution that a residual block has -> its name in the block."""
    if isinstance(block, InvertedResidual) and block.use_res_connect and len(block.conv) == 3:
        return {convolution: f'conv.{i}' for i, convolution in enumerate(CONVOLUTIONS)}
    if isinstance(block, BLOCKS):
        return {name: name for name in CONVOLUTIONS if hasattr(block, name)}
    return {}


def _layouts(backbone: nn.Module, num_segments: int | None) -> dict[int, Layout]:
    """The layout of every stage."""
    stages = range(1, 9)
    if isinstance(backbone, ResNet | MobileNetV2) and not isinstance(backbone, C2D):
        T = _frames(backbone, num_segments)
        pooled = getattr(backbone, 'temporal_pool', False)
        return {stage: Images(T // 2 if pooled and stage > 1 else T) for stage in stages}
    if num_segments is not None:
        raise ValueError(
            f'MotionBackbone: num_segments={num_segments!r} has no effect in '
            f'{type(backbone).__name__}, which is given whole clips; leave it out'
        )
    if not isinstance(backbone, C2D):
        return dict.fromkeys(stages, ChannelsFirst())
    layouts = {stage: Images(None) for stage in stages}
    backbone.register_forward_pre_hook(_FramesOfInput(layouts))
    return layouts


def _frames(backbone: nn.Module, num_segments: int | None) -> int:
    """Frames T of a clip, for a backbone that is given single frames."""
    name, own = type(backbone).__name__, getattr(backbone, 'num_segments', None)
    if own is not None and num_segments not in (None, own):
        raise ValueError(
            f'MotionBackbone: num_segments: got {num_segments!r}, but {name} itself has {own}; '
            'leave it out'
        )
    T = num_segments if own is None else own
    if not isinstance(T, int) or T < 1:
        raise ValueError(
            f'MotionBackbone: num_segments must be the frames of a clip, since {name} is given '
            f'single frames, got {T!r}'
        )
    return T
