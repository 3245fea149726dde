"""Any motion module as a neck: x + module(LayerNorm(x)), before the head."""

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmaction_emim.models.surgery.insertion import Insertion
from mmaction_emim.models.surgery.insertion_point import InsertionPoint
from mmaction_emim.models.surgery.layouts import ChannelsFirst
from mmaction_emim.models.surgery.motion_module import build_motion

from .clip_neck import ClipNeck


@MODELS.register_module()
class MotionNeck(ClipNeck):
    """Adds a motion module, of this package or yours, to the features of any backbone.

    It is there to compare them in one place; of EMIM, :class:`.EMIMNeck` computes the same. Starts
    as the identity.

    Attention over time alone, a usual rival, is ``motion=dict(
    type='AlignmentGuidedTemporalAttention', assignment='none')`` with ``num_frames``: without it,
    nothing tells the order of frames to a head that averages them.

    Args:
        in_channels: Channels of the feature map.
        motion: ``dict(type=…)`` of a motion module; ``dim`` and ``num_heads`` are given.
        head_dim: Channels of a head; divides ``channels``. Defaults to 64.
        depth: Modules, one after the other. Defaults to 1; 0, with ``channels``, is a projection
            and nothing else.
        channels: As :class:`.EMIMNeck`'s. Default None: no projection.
        num_frames: Frames T of a clip, for a learned embedding of their positions, as
            TimeSformer's: zeros at first, added to the features once. Default None: none.
        num_segments: As :class:`.EMIMNeck`'s.
        pool_time: As :class:`.EMIMNeck`'s.
        init_cfg: MMEngine's; applied before the neck makes itself the identity.

    Raises:
        ValueError: An argument is not as above; from ``forward``, the features are others.
    """

    def __init__(
        self,
        in_channels: int,
        motion: Mapping[str, Any],
        head_dim: int = 64,
        depth: int = 1,
        channels: int | None = None,
        num_frames: int | None = None,
        num_segments: int | None = None,
        pool_time: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(in_channels, channels, num_segments, pool_time, init_cfg)
        if not isinstance(depth, int) or depth < (0 if channels else 1):
            raise ValueError(
                f'MotionNeck: depth must be 1 or more, or 0 with channels, got {depth!r}'
            )
        dim = self.out_channels
        heads = self.num_heads(head_dim)
        point = InsertionPoint('neck', 1, dim, ChannelsFirst(), num_heads=heads)
        self.blocks = ModuleList(
            Insertion('MotionNeck', build_motion(dict(motion), point), dim, point.layout, True)
            for _ in range(depth)
        )
        self.time_embed = None
        if num_frames:
            self.time_embed = nn.Parameter(torch.zeros(num_frames, dim))

    def with_motion(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> the same.

        Raises:
            ValueError: T is not ``num_frames``.
        """
        if self.time_embed is not None:
            if x.shape[2] != len(self.time_embed):
                raise ValueError(
                    f'MotionNeck: num_frames must be {x.shape[2]}, the frames that the backbone '
                    f'returns, got {len(self.time_embed)}'
                )
            x = x + self.time_embed.mT[:, :, None, None]
        for block in self.blocks:
            x = block(x)
        return x
