"""What the arms need and the package does not have, registered by name for configs."""

from typing import Any

import torch
from mmaction.models import BaseHead
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim.models.heads.attentive_head import frame_positions


@MODELS.register_module()
class MeanHead(BaseHead):
    """:class:`AttentiveHead` with means in the place of its attention.

    Tokens are averaged over each frame; the frames, with their positions, pass the MLP one by one
    and are averaged then.

    Args:
        num_classes: Number of classes.
        in_channels: Channels C of the map; even.
        mlp_ratio: Hidden units of the MLP by its channels. Defaults to 4.
        **kwargs: ``BaseHead``'s.
    """

    def __init__(
        self, num_classes: int, in_channels: int, mlp_ratio: float = 4.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        hidden = int(in_channels * mlp_ratio)
        self.norm = nn.LayerNorm(in_channels)
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.GELU(), nn.Linear(hidden, in_channels)
        )
        self.fc_cls = nn.Linear(in_channels, num_classes)
        self.init_weights()

    def init_weights(self) -> None:
        """As AttentiveHead's."""
        for layer in (self.mlp[0], self.mlp[2], self.fc_cls):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """(N, C, T, H, W) -> scores (N, classes)."""
        frames = x.mean(dim=(3, 4)).mT
        frames = frames + frame_positions(x.shape[2], self.in_channels).to(x)
        frames = frames + self.mlp(self.norm(frames))
        return self.fc_cls(frames.mean(dim=1))


@MODELS.register_module()
class FrameDifference(nn.Module):
    """An MLP on what changed at each place from a frame to the next; a motion module.

    The last frame repeats the output of the frame before, as EMIM's does.

    Args:
        dim: Channels C of the tokens.
        hidden: Hidden units. Defaults to 64.
    """

    def __init__(self, dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> the same shape."""
        out = self.mlp(x[:, 1:] - x[:, :-1])
        return torch.cat([out, out[:, -1:]], dim=1)
