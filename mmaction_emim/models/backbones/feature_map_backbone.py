"""Feature maps that were computed before, in the place of a backbone."""

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class FeatureMapBackbone(BaseModule):
    """Hands on what it gets: a neck and a head learn from maps of a :class:`.FeatureMapDataset`.

    Args:
        in_channels: Channels C that the maps must have. Default None: any.

    Raises:
        ValueError: From ``forward``, the maps have other dimensions or channels.
    """

    def __init__(self, in_channels: int | None = None) -> None:
        super().__init__()
        self.in_channels = in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (N, C, T, H, W) or (N*T, C, H, W), as they are."""
        if x.dim() not in (4, 5):
            raise ValueError(
                'FeatureMapBackbone: maps must be (N, C, T, H, W) or (N*T, C, H, W), got '
                f'{tuple(x.shape)}'
            )
        if self.in_channels not in (None, x.shape[1]):
            raise ValueError(
                f'FeatureMapBackbone: model.backbone.in_channels must be {x.shape[1]}, the '
                f'channels of the maps, got {self.in_channels}'
            )
        return x
