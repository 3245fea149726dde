"""What necks on the features of clips share: the shapes that recognizers hand over."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn


class ClipNeck(BaseModule):
    """Hands features to :meth:`with_motion` as (N, C, T, H, W), and back in the shape they had.

    Args:
        in_channels: Channels of the features.
        channels: Channels C that they are projected to before, in each place; they stay so many.
            None: no projection.
        num_segments: As :class:`.EMIMNeck`'s.
        pool_time: As :class:`.EMIMNeck`'s.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``channels`` is not 1 or more; from ``forward``, the features are others.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int | None = None,
        num_segments: int | None = None,
        pool_time: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if channels is not None and channels < 1:
            raise ValueError(f'{type(self).__name__}: channels must be 1 or more, got {channels}')
        self.in_channels = in_channels
        self.out_channels = channels or in_channels
        self.num_segments = num_segments
        self.pool_time = pool_time
        self.key = 'in_channels'
        self.reduce = nn.Linear(in_channels, channels) if channels else None
        self.misfit = ''  # why no features are taken

    def num_heads(self, head_dim: int) -> int:
        """Heads of ``head_dim`` of C channels.

        Raises:
            ValueError: They do not come out even; where ``in_channels`` may be the wrong number,
                from :meth:`project`, which knows the right one.
        """
        dim = self.out_channels
        if head_dim > 0 and dim % head_dim == 0:
            return dim // head_dim
        self.misfit = (
            f'{type(self).__name__}: head_dim must divide '
            f'{"channels" if self.reduce else self.key}={dim}, got {head_dim}'
        )
        if head_dim < 1 or self.reduce:
            raise ValueError(self.misfit)
        return 1

    def with_motion(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> the same."""
        raise NotImplementedError

    def project(self, x: Tensor) -> Tensor:
        """(N, in_channels, …) -> (N, C, …).

        Raises:
            ValueError: The features have other channels, or ``head_dim`` does not divide these.
        """
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__}: model.neck.{self.key} must be {x.shape[1]}, the channels '
                f'that the backbone returns, got {self.in_channels}'
            )
        if self.misfit:
            raise ValueError(self.misfit)
        return x if self.reduce is None else self.reduce(x.movedim(1, -1)).movedim(-1, 1)

    def forward(self, x: Tensor | Sequence[Tensor], data_samples: Any = None) -> tuple[Any, dict]:
        """Features in, features and no auxiliary loss out.

        Args:
            x: ``(N, C, T, H, W)`` or ``(N*T, C, H, W)``: returned in the same shape. A list, which
                is how ``Recognizer2D`` calls a neck: the backbone's last level is taken and
                returned as ``pool_time`` says. A tuple of one map, as of 3-D backbones: that map.
            data_samples: Not used.

        Raises:
            ValueError: The shape is none of these, or T is 1.
        """
        if isinstance(x, tuple) and len(x) == 1:
            x = x[0]
        if isinstance(x, list) and x and x[-1].dim() >= 4:
            x = self._views(_last_level(x))
            if self.pool_time:
                return x.mean(dim=2, keepdim=True), {}
            return x.transpose(1, 2).flatten(0, 1), {}
        if isinstance(x, Tensor) and x.dim() == 5:
            return self.with_motion(self.project(x)), {}
        name = type(self).__name__
        if isinstance(x, Tensor) and x.dim() == 4:
            if not self.num_segments or x.shape[0] % self.num_segments:
                raise ValueError(
                    f'{name}: features {tuple(x.shape)} are (N*T, C, H, W), so num_segments '
                    f'must be T, got {self.num_segments}'
                )
            x = x.unflatten(0, (-1, self.num_segments)).transpose(1, 2)  # (N, C, T, H, W)
            return self.with_motion(self.project(x)).transpose(1, 2).flatten(0, 1), {}
        parts = list(x) if isinstance(x, list | tuple) else [x]
        got = ', '.join(str(tuple(getattr(part, 'shape', [type(part).__name__]))) for part in parts)
        raise ValueError(
            f'{name}: features must be (N, C, T, H, W) or (N*T, C, H, W), got {got}; a backbone '
            'that returns class tokens or pooled features has no map for a neck: use '
            'MotionBackbone, or FrameEncoder'
        )

    def _views(self, x: Tensor) -> Tensor:
        T = self.num_segments or x.shape[2]
        if x.shape[2] % T:
            raise ValueError(
                f'{type(self).__name__}: num_segments must divide {x.shape[2]}, the frames of all '
                f'views of a clip, got {T}'
            )
        views = x.unflatten(2, (-1, T)).transpose(1, 2)  # (N, views, C, T, H, W)
        out = self.with_motion(self.project(views.flatten(0, 1)))
        return out.unflatten(0, views.shape[:2]).transpose(1, 2).flatten(2, 3)


def _last_level(levels: list[Tensor]) -> Tensor:
    """The last level's (N, C, T, H, W) out of what ``Recognizer2D`` hands to a neck."""
    if levels[-1].dim() == 5:
        return levels[-1]
    # A backbone with one output gives a tensor, not a tuple; Recognizer2D then takes each of its
    # N*T images for a level and folds (C, H, W) to (C/T, H, T, W). This is the way back.
    T = levels[0].shape[2]
    images = torch.stack([x.transpose(1, 2).flatten(0, 1) for x in levels])  # (N*T, C, H, W)
    return images.unflatten(0, (-1, T)).transpose(1, 2)
