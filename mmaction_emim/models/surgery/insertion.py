"""The module that an inserted motion module becomes a part of."""

import torch
from torch import Tensor, nn

from mmaction_emim.models.motion.layer_scale import new_layer_scale

from .insertion_point import InsertionPoint
from .layouts import Layout


class Insertion(nn.Module):
    """A motion module before a layer: tokens + module(norm(tokens)); class tokens pass by.

    A module whose output includes its input takes the tokens as they are. What has no
    ``start_as_identity`` starts with a LayerScale of zeros. A sum has the memory order of its first
    term, the tokens: the layer gets ``x`` in the order that it had, and no copy is made for it.

    Args:
        name: What errors begin with: who put it there, and the layer.
        module: Motion module on (B, T, H, W, C).
        dim: Channels C.
        layout: The layout of the layer's input.
        zero_init: Whether the layer's input is unchanged until trained.
    """

    def __init__(
        self, name: str, module: nn.Module, dim: int, layout: Layout, zero_init: bool
    ) -> None:
        super().__init__()
        self.name = name
        self.norm = None if getattr(module, 'includes_input', False) else nn.LayerNorm(dim)
        self.module = module
        self.layer_scale = None
        if zero_init and not hasattr(module, 'start_as_identity'):
            self.layer_scale = new_layer_scale(torch.empty(dim))
        self.layout = layout
        self.zero_init = zero_init
        self._start()

    def init_weights(self) -> None:
        """MMEngine calls this after a parent's init_cfg, which may have touched our layers."""
        if hasattr(self.module, 'init_weights'):
            self.module.init_weights()
        self._start()

    def _start(self) -> None:
        if self.layer_scale is not None:
            nn.init.zeros_(self.layer_scale)
        elif self.zero_init:
            self.module.start_as_identity()

    def _with_motion(self, tokens: Tensor) -> Tensor:
        if self.norm is None:
            out = self.module(tokens)
            if self.layer_scale is not None:
                out = tokens + self.layer_scale * (out - tokens)
            return out.to(tokens.dtype)
        out = self.module(self.norm(tokens))
        if self.layer_scale is not None:
            out = self.layer_scale * out
        return tokens + out.to(tokens.dtype)

    def forward(self, x: Tensor, *context: object) -> Tensor:
        """What the layer is called with -> its first argument, with motion.

        Raises:
            ValueError: The module refuses the tokens, e.g. those of a single frame.
        """
        try:
            tokens, class_tokens = self.layout.split(x, *context)
            tokens = self._with_motion(tokens)
        except ValueError as error:
            raise ValueError(f'{self.name}: {error}') from error
        return self.layout.merge(tokens, class_tokens)


def _motion_first(layer: nn.Module, args: tuple) -> tuple:
    return (layer.motion(*args), *args[1:])


def insert(backbone: nn.Module, point: InsertionPoint, module: nn.Module, zero_init: bool) -> None:
    """Put ``module`` before the point's layer, as its child ``motion``."""
    layer = backbone.get_submodule(point.name)
    name = f'MotionBackbone: {point.name}'
    layer.motion = Insertion(name, module, point.dim, point.layout, zero_init)
    layer.register_forward_pre_hook(_motion_first)
