"""TSM's ResNet with fewer than four stages, for small data."""

from typing import Any

from mmaction.models.backbones.resnet import BasicBlock
from mmaction.models.backbones.resnet_tsm import ResNetTSM, TemporalShift
from mmaction.registry import MODELS
from mmcv.cnn import ConvModule


@MODELS.register_module()
class ShallowResNetTSM(ResNetTSM):
    """ResNetTSM that takes ``num_stages`` with ``is_shift=True`` too; upstream shifts exactly four.

    The shift is before the first convolution of every residual block.

    Args:
        depth: 18 or 34, whose blocks have two convolutions.
        is_shift: Whether there is a temporal shift. Defaults to True.
        last_ratio: Channels between the two convolutions of the last block over those of its
            output: sets the number of parameters and leaves all that is between blocks as it is.
            Defaults to 1.
        **kwargs: ResNetTSM's other arguments; ``strides``, ``dilations`` and ``out_indices`` go by
            the stages.

    Raises:
        ValueError: ``depth`` is another.
    """

    def __init__(
        self, depth: int = 18, is_shift: bool = True, last_ratio: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(depth, is_shift=False, **kwargs)
        if self.block is not BasicBlock:
            raise ValueError(f'ShallowResNetTSM: depth must be 18 or 34, got {depth}')
        last = getattr(self, self.res_layers[-1])[-1]
        dim = last.conv2.conv.out_channels
        hidden = round(dim * last_ratio)
        same = dict(kernel_size=3, padding=1, bias=False, norm_cfg=self.norm_cfg)
        last.conv1 = ConvModule(dim, hidden, act_cfg=self.act_cfg, **same)
        last.conv2 = ConvModule(hidden, dim, act_cfg=None, **same)
        self.is_shift = is_shift
        if is_shift:
            self.make_temporal_shift()

    def make_temporal_shift(self) -> None:
        for stage in self.res_layers:
            for block in getattr(self, stage):
                block.conv1.conv = TemporalShift(
                    block.conv1.conv, num_segments=self.num_segments, shift_div=self.shift_div
                )
