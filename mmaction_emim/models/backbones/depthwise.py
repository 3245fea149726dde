"""Depthwise 3-D convolutions that train faster on a CPU."""

from torch import Tensor, nn

from mmaction_emim.ops import depthwise_conv3d


class DepthwiseConv3d(nn.Conv3d):
    """``nn.Conv3d`` with one kernel a channel and stride 1, computed by
    :func:`mmaction_emim.ops.depthwise_conv3d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> the same with other T, H, W."""
        return depthwise_conv3d(x, self.weight, self.bias, self.padding)


def use_depthwise_conv3d(model: nn.Module) -> None:
    """Turn every ``nn.Conv3d`` of ``model`` that can be one into a :class:`DepthwiseConv3d`.

    Parameters, their names and hooks stay.
    """
    for module in model.modules():
        if type(module) is nn.Conv3d and _is_served(module):
            module.__class__ = DepthwiseConv3d


def _is_served(conv: nn.Conv3d) -> bool:
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and set(conv.stride) == set(conv.dilation) == {1}
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
    )
