"""What motion modules see while a network runs, read by hooks, in any network.

An example::

    with record_motion_fields(network) as fields:
        network(clip)
    fields['backbone.blocks3.0.attn'].displacement  # (B, T-1, H, W, 2)

The network's weights and outputs are untouched.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mmaction_emim.models.motion import (
    AlignmentGuidedTemporalAttention,
    EMIMAttention,
    MotionAwareAttention,
)
from mmaction_emim.ops import MotionField

Found = TypeVar('Found', Tensor, MotionField)


def motion_layers(network: nn.Module, kind: type[nn.Module] = EMIMAttention) -> list[str]:
    """Dotted names of a network's layers of a kind, in its order; a motion module's by default.

    Raises:
        ValueError: It has none.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, kind)]
    if not names:
        raise ValueError(f'{type(network).__name__}: none of its layers is {kind.__name__}')
    return names


def record_motion_fields(
    network: nn.Module, head: int | None = None, layer: str | None = None
) -> AbstractContextManager[dict[str, MotionField]]:
    """Record the :class:`.MotionField` of EMIM layers, see :meth:`.EMIMAttention.motion_field`.

    A context manager; what a network computes inside of it, however it is called, fills the
    dictionary that it gives. Compiled networks run uncompiled meanwhile; the batches of several
    calls are concatenated. A backward pass inside would read checkpointed layers once more.

    Args:
        network: It, or a part of it, is called inside; put it in evaluation mode before.
        head: The head to read; None (default) averages all.
        layer: The layer to read, by its dotted name; None (default): all.

    Returns:
        A context manager for a dictionary: a layer's name to displacement (B, T-1, H, W, 2), in
        tokens of the layer's grid, and confidence (B, T-1, H, W); float32, on the CPU.

    Raises:
        ValueError: No layer is EMIM, none has this name, or there is no such head.
    """
    return _record(network, EMIMAttention, layer, lambda module, x: module.motion_field(x, head))


def record_affinities(
    network: nn.Module, layer: str | None = None
) -> AbstractContextManager[dict[str, Tensor]]:
    """As :func:`record_motion_fields`, the raw affinity (B, T-1, heads, H, W, window * window)."""
    return _record(network, EMIMAttention, layer, EMIMAttention.affinity)


def record_attention(
    network: nn.Module, layer: str | None = None
) -> AbstractContextManager[dict[str, Tensor]]:
    """As :func:`record_motion_fields`, the attention over time (B, T, T) of M2A's layers."""
    return _record(network, MotionAwareAttention, layer, MotionAwareAttention.attention)


def record_tracks(
    network: nn.Module, layer: str | None = None
) -> AbstractContextManager[dict[str, Tensor]]:
    """As :func:`record_motion_fields`, the tracks of ATA's layers.

    (B, T, H, W, 2), int64: the column and the row, in frame t, of the track that starts at a token
    of the first frame.
    """

    def read(module: AlignmentGuidedTemporalAttention, x: Tensor) -> Tensor:
        H, W = x.shape[2:4]
        places = module.tracks(x).unflatten(-1, (H, W))
        return torch.stack([places % W, places // W], dim=-1)

    return _record(network, AlignmentGuidedTemporalAttention, layer, read)


@contextmanager
def _record(
    network: nn.Module,
    kind: type[nn.Module],
    layer: str | None,
    read: Callable[[Any, Tensor], Found],
) -> Iterator[dict[str, Found]]:
    names = motion_layers(network, kind)
    if layer is not None and layer not in names:
        raise ValueError(f'layer: got {layer!r}; {kind.__name__} layers are {", ".join(names)}')
    seen: dict[str, Found] = {}

    def hook_of(name: str) -> Callable:
        # A pre-hook that comes last sees tokens, where another layout's adapter has made them.
        @torch.no_grad()
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            found = _on_cpu(read(module, args[0]))
            seen[name] = _joined(seen[name], found) if name in seen else found

        return hook

    with ExitStack() as stack:
        for name in names if layer is None else [layer]:
            handle = network.get_submodule(name).register_forward_pre_hook(hook_of(name))
            stack.callback(handle.remove)
        if 'torch._dynamo' in sys.modules:  # code that was compiled before does not know of hooks
            stack.enter_context(torch.compiler.set_stance('force_eager'))
        yield seen


def _on_cpu(found: Found) -> Found:
    if isinstance(found, MotionField):
        return MotionField(*map(_on_cpu, found))
    return found.float().cpu() if found.is_floating_point() else found.cpu()


def _joined(one: Found, other: Found) -> Found:
    if isinstance(one, MotionField):
        return MotionField(*map(_joined, one, other))
    return torch.cat([one, other])
