"""A place in a backbone where a motion module can go, and how it gets there."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmaction_emim.models.motion.layer_scale import new_layer_scale

from .layouts import Layout


@dataclass
class Place:
    """One layer of a backbone.

    Attributes:
        name: Dotted name in the backbone of the layer before which a module is inserted: a
            transformer's block, or a convolution of a residual block.
        stage: Stage of the backbone, from 1.
        dim: Channels of the layer's input.
        layout: Of the layer's input.
        num_heads: Of the layer's attention; None for convolutional networks.
        attention: Dotted name of the attention that a module may replace; None if there is none.
        over_time_only: Whether this attention is over time alone.
        replace: Puts a module where the attention was, given the backbone.
        why_not: Why a module cannot replace the attention, though there is one.
    """

    name: str
    stage: int
    dim: int
    layout: Layout
    num_heads: int | None = None
    attention: str | None = None
    over_time_only: bool = False
    replace: Callable[[nn.Module, nn.Module], None] | None = None
    why_not: str | None = None

    @property
    def group(self) -> str:
        """The stage's name, such as ``slow_path.layer3``; places alternate within a stage."""
        parts = self.name.split('.')
        last_index = max(i for i, part in enumerate(parts) if part.isdigit())
        return '.'.join(parts[:last_index])


class Insertion(nn.Module):
    """A motion module before a layer: tokens + module(norm(tokens)); class tokens pass by.

    A module whose answer includes its input takes the tokens as they are. What has no
    ``start_as_identity`` starts with a LayerScale of zeros.

    Args:
        name: Of the layer, for errors.
        module: Motion module on (B, T, H, W, C).
        dim: Channels C.
        layout: Of the layer's input.
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
            tokens, rest = self.layout.split(x, *context)
            tokens = self._with_motion(tokens)
        except ValueError as error:
            raise ValueError(f'MotionBackbone: {self.name}: {error}') from error
        out = self.layout.merge(tokens, rest)
        # The layer's sums run in the order of memory: keep x's, so that their bits stay the same.
        return out if out.stride() == x.stride() else torch.empty_like(x).copy_(out)


def _motion_first(layer: nn.Module, args: tuple) -> tuple:
    return (layer.motion(*args), *args[1:])


def insert(backbone: nn.Module, place: Place, module: nn.Module, zero_init: bool) -> None:
    """Put ``module`` before the place's layer, as its child ``motion``."""
    layer = backbone.get_submodule(place.name)
    layer.motion = Insertion(place.name, module, place.dim, place.layout, zero_init)
    layer.register_forward_pre_hook(_motion_first)


def set_submodule(backbone: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` is."""
    parent, _, child = name.rpartition('.')
    setattr(backbone.get_submodule(parent), child, module)
