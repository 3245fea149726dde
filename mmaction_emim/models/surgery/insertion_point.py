"""Where in a backbone a motion module can go."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from .layouts import Layout, LayoutAdapter


@dataclass
class InsertionPoint:
    """One layer of a backbone.

    Attributes:
        name: Dotted name in the backbone of the layer before which a module is inserted: a
            transformer's block, or a convolution of a residual block.
        stage: Stage of the backbone, from 1.
        dim: Channels of the layer's input.
        layout: The layout of the layer's input.
        num_heads: Heads of the layer's attention; None for convolutional networks.
        attention: Dotted name of the attention that a module may replace; None if there is none.
        over_time_only: Whether this attention is over time alone.
        replace: Puts a module where the attention was, given the backbone.
        unsupported_reason: Why a module cannot replace the attention, though there is one.
    """

    name: str
    stage: int
    dim: int
    layout: Layout
    num_heads: int | None = None
    attention: str | None = None
    over_time_only: bool = False
    replace: Callable[[nn.Module, nn.Module], None] | None = None
    unsupported_reason: str | None = None

    @property
    def group(self) -> str:
        """The stage's name, such as ``slow_path.layer3``; modules alternate within it."""
        parts = self.name.split('.')
        last_index = max(i for i, part in enumerate(parts) if part.isdigit())
        return '.'.join(parts[:last_index])


def replace_in_layout(
    attention: str, layout: Layout, output: str = 'tensor'
) -> Callable[[nn.Module, nn.Module], None]:
    """An :attr:`InsertionPoint.replace` for attention that is called with tokens of a layout.

    Args:
        attention: Its dotted name.
        layout: The layout of its input.
        output: What it returns, see :class:`.LayoutAdapter`.
    """

    def replace(backbone: nn.Module, module: nn.Module) -> None:
        LayoutAdapter(layout, output).attach(module)
        _set_submodule(backbone, attention, module)

    return replace


def replace_block(
    name: str, block_type: Callable[[nn.Module, nn.Module], nn.Module]
) -> Callable[[nn.Module, nn.Module], None]:
    """An :attr:`InsertionPoint.replace` for attention whose block has to change with it.

    Args:
        name: The block's dotted name.
        block_type: Makes the new block of the old one and the motion module.
    """

    def replace(backbone: nn.Module, module: nn.Module) -> None:
        _set_submodule(backbone, name, block_type(backbone.get_submodule(name), module))

    return replace


def _set_submodule(backbone: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` is."""
    parent, _, child = name.rpartition('.')
    setattr(backbone.get_submodule(parent), child, module)
