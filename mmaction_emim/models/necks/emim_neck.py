"""EMIM as a neck: x + EMIM(LayerNorm(x)) on a backbone's features, before the head."""

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmaction_emim.models.motion import EMIMAttention


@MODELS.register_module()
class EMIMNeck(BaseModule):
    """Adds explicit motion to the features of any backbone. Starts as the identity.

    Args:
        in_channels: Channels C of the feature map; a list of them where the backbone returns
            several (SlowFast: its slow and its fast path).
        head_dim: Channels of a head; divides ``in_channels``. Defaults to 64.
        window: Side of EMIM's window; odd. Defaults to 7.
        out_of_frame: ``'pad'`` or ``'mask'``, see :class:`.EMIMAttention`. Defaults to ``'pad'``.
        num_segments: Frames T of a clip; needed for features (N*T, C, H, W), and for tests of
            ``Recognizer2D`` with several views of a clip (``TenCrop``), which it hands over in a
            row. Defaults to None.
        pool_time: What ``Recognizer2D`` gets. True (default): features averaged over time,
            as it expects of a neck, right for heads that go by the ``num_segs`` it passes
            (TSNHead). False: one feature map a frame, for heads that keep their own
            ``num_segments`` (TSMHead, TRNHead).
        init_cfg: MMEngine's; applied before the neck makes itself the identity.

    Raises:
        ValueError: An argument is not as above; from ``forward``, the features have other channels.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        head_dim: int = 64,
        window: int = 7,
        out_of_frame: str = 'pad',
        num_segments: int | None = None,
        pool_time: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_segments = num_segments
        self.pool_time = pool_time
        self.pathways = None
        if not isinstance(in_channels, int):
            args = (head_dim, window, out_of_frame, num_segments, pool_time)
            self.pathways = ModuleList(EMIMNeck(channels, *args) for channels in in_channels)
            for i, neck in enumerate(self.pathways):
                neck.key = f'in_channels[{i}]'
            return
        self.key = 'in_channels'
        if head_dim < 1 or in_channels % head_dim:
            raise ValueError(
                f'EMIMNeck: head_dim must divide in_channels={in_channels}, got {head_dim}'
            )
        self.norm = nn.LayerNorm(in_channels)
        self.attn = EMIMAttention(
            in_channels, in_channels // head_dim, window, out_of_frame=out_of_frame
        )
        self.attn.start_as_identity()

    def init_weights(self) -> None:
        super().init_weights()
        if self.pathways is None:
            self.attn.start_as_identity()

    def forward(
        self, x: Tensor | Sequence[Tensor], data_samples: Any = None
    ) -> tuple[Tensor, dict]:
        """Features in, features and no auxiliary loss out.

        Args:
            x: ``(N, C, T, H, W)`` or ``(N*T, C, H, W)``: returned in the same shape. A list, which
                is how ``Recognizer2D`` calls a neck: the backbone's last level is taken and
                returned as ``pool_time`` says. A tuple, which is how 3-D backbones return several
                feature maps: returned as a tuple; one of a single map as that map.
            data_samples: Not used.

        Raises:
            ValueError: The shape is none of these, or T is 1.
        """
        if isinstance(x, tuple) and self.pathways is not None and len(x) == len(self.pathways):
            return tuple(neck(part)[0] for neck, part in zip(self.pathways, x, strict=True)), {}
        if isinstance(x, tuple) and len(x) == 1:
            x = x[0]
        if self.pathways is not None:
            raise ValueError(
                f'EMIMNeck: in_channels has {len(self.pathways)} numbers, the backbone returns '
                f'{len(x) if isinstance(x, tuple) else 1} feature maps'
            )
        if isinstance(x, list) and x and x[-1].dim() >= 4:
            x = self._with_motion_in_views(_last_level(x))
            if self.pool_time:
                return x.mean(dim=2, keepdim=True), {}
            return x.transpose(1, 2).flatten(0, 1), {}
        if isinstance(x, Tensor) and x.dim() == 5:
            return self._with_motion(x), {}
        if isinstance(x, Tensor) and x.dim() == 4:
            if not self.num_segments or x.shape[0] % self.num_segments:
                raise ValueError(
                    f'EMIMNeck: features {tuple(x.shape)} are (N*T, C, H, W), so num_segments '
                    f'must be T, got {self.num_segments}'
                )
            x = x.unflatten(0, (-1, self.num_segments)).transpose(1, 2)  # (N, C, T, H, W)
            return self._with_motion(x).transpose(1, 2).flatten(0, 1), {}
        parts = list(x) if isinstance(x, list | tuple) else [x]
        got = ', '.join(str(tuple(getattr(part, 'shape', [type(part).__name__]))) for part in parts)
        raise ValueError(
            f'EMIMNeck: features must be (N, C, T, H, W) or (N*T, C, H, W), got {got}; a backbone '
            'that returns class tokens or pooled features has no map for a neck: use MotionBackbone'
        )

    def _with_motion_in_views(self, x: Tensor) -> Tensor:
        T = self.num_segments or x.shape[2]
        if x.shape[2] % T:
            raise ValueError(
                f'EMIMNeck: num_segments must divide {x.shape[2]}, the frames of all views of a '
                f'clip, got {T}'
            )
        views = x.unflatten(2, (-1, T)).transpose(1, 2)  # (N, views, C, T, H, W)
        out = self._with_motion(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        return out.transpose(1, 2).flatten(2, 3)

    def _with_motion(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.norm.normalized_shape[0]:
            raise ValueError(
                f'EMIMNeck: model.neck.{self.key} must be {x.shape[1]}, the channels that the '
                f'backbone returns, got {self.norm.normalized_shape[0]}'
            )
        tokens = x.permute(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        return x + self.attn(self.norm(tokens)).permute(0, 4, 1, 2, 3)


def _last_level(levels: list[Tensor]) -> Tensor:
    """The last level's (N, C, T, H, W) out of what ``Recognizer2D`` hands to a neck."""
    if levels[-1].dim() == 5:
        return levels[-1]
    # A backbone with one output gives a tensor, not a tuple; Recognizer2D then takes each of its
    # N*T images for a level and folds (C, H, W) to (C/T, H, T, W). This is the way back.
    T = levels[0].shape[2]
    images = torch.stack([x.transpose(1, 2).flatten(0, 1) for x in levels])  # (N*T, C, H, W)
    return images.unflatten(0, (-1, T)).transpose(1, 2)
