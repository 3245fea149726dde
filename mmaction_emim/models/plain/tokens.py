"""Flat tokens of plain models, and the way to (B, T, H, W, C) and back."""

from typing import Any

import torch
from torch import Tensor

from mmaction_emim.models.surgery.layouts import Layout

ORDERS = ('clip', 'image', 'patch', 'track')


class TokenGrid(Layout):
    """Where the tokens of a grid are in a layer's input.

    Args:
        grid: (T, H, W).
        order: ``'clip'``: (B, prefix + T*H*W, C), frame after frame. ``'image'``: (B*T, prefix +
            H*W, C), a sequence a frame. ``'patch'``: (B, prefix + H*W*T, C), each patch with all
            its frames. ``'track'``: (B*H*W, T, C), a sequence a patch.
        prefix: Number of tokens before the grid in each sequence: class tokens and registers.
            Defaults to 0.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(self, grid: tuple[int, int, int], order: str = 'clip', prefix: int = 0) -> None:
        if len(grid) != 3 or not all(isinstance(n, int) and n > 0 for n in grid):
            raise ValueError(f'grid must be (T, H, W), got {grid!r}')
        if order not in ORDERS:
            raise ValueError(f'order: got {order!r}; accepted are {ORDERS}')
        if prefix < 0 or (prefix and order == 'track'):
            raise ValueError(f'prefix must be 0 or more, and 0 with order=track, got {prefix}')
        self.grid = tuple(grid)
        self.order = order
        self.prefix = prefix
        T, H, W = grid
        self.length, self.group = {  # of a sequence, and sequences of a clip
            'clip': (T * H * W, 1),
            'image': (H * W, T),
            'patch': (H * W * T, 1),
            'track': (T, H * W),
        }[order]

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor]:
        """A layer's input -> tokens (B, T, H, W, C) and those before them, (sequences, prefix, C).

        Raises:
            ValueError: Its shape is not what ``grid``, ``order`` and ``prefix`` make.
        """
        T, H, W = self.grid
        length, group = self.length, self.group
        if x.dim() != 3 or x.shape[1] != self.prefix + length or x.shape[0] % group:
            raise ValueError(
                f'tokens must be (a multiple of {group}, {self.prefix} + {length}, C) for '
                f'grid={self.grid}, order={self.order!r}, prefix={self.prefix}, '
                f'got {tuple(x.shape)}'
            )
        prefix, x = x[:, : self.prefix], x[:, self.prefix :]
        B, C = x.shape[0] // group, x.shape[-1]
        if self.order in ('clip', 'image'):
            return x.reshape(B, T, H, W, C), prefix
        return x.reshape(B, H, W, T, C).permute(0, 3, 1, 2, 4), prefix

    def merge(self, tokens: Tensor, prefix: Tensor) -> Tensor:
        """The inverse of :meth:`split`."""
        if self.order in ('patch', 'track'):
            tokens = tokens.permute(0, 2, 3, 1, 4)
        x = tokens.reshape(tokens.shape[0] * self.group, self.length, tokens.shape[-1])
        return torch.cat([prefix, x], dim=1) if self.prefix else x
