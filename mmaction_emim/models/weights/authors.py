"""The names of EMIM's and UniFormer's authors, and ours.

Theirs: ``patch_embed1.proj.weight`` … ``head.weight``, in ``model_state`` of a ``.pyth`` or bare.
Ours, MMAction2's: ``backbone.`` before each, ``cls_head.fc_cls`` for ``head``. Source: the authors'
repositories.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

WRAPPERS = ('state_dict', 'model_state_dict', 'model_state', 'model', 'module')
HEAD, OUR_HEAD = 'head.', 'cls_head.fc_cls.'


class CheckpointError(ValueError):
    """A checkpoint holds other things than it should; the message starts with ``checkpoint:``."""


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict in a checkpoint: the authors', MMEngine's, another's or a bare one.

    Raises:
        CheckpointError: The checkpoint holds no tensor by name.
    """
    for wrapper in WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    tensors = ((name, x) for name, x in checkpoint.items() if isinstance(x, Tensor))
    weights = {name: x for name, x in tensors if isinstance(name, str)}
    if not weights:
        raise CheckpointError(
            f'checkpoint: no weights in it; expected a state dict, bare or in one of {WRAPPERS}, '
            f'got keys {list(checkpoint)[:5]}'
        )
    return {name.removeprefix('module.'): x for name, x in weights.items()}


def from_authors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names to ours; the tensors are the same."""
    return {
        OUR_HEAD + name[len(HEAD) :] if name.startswith(HEAD) else f'backbone.{name}': x
        for name, x in weights.items()
    }


def to_authors(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names to the authors'; the tensors are the same. Other parts' names stay."""
    return {
        HEAD + name[len(OUR_HEAD) :]
        if name.startswith(OUR_HEAD)
        else name.removeprefix('backbone.'): x
        for name, x in weights.items()
    }


def inflate(weight: Tensor, shape: torch.Size) -> Tensor:
    """A 2-D kernel to a 3-D one: repeated over time and divided by the kernel's length.

    Args:
        weight: (out, in, h, w), returned as it is when it cannot become ``shape``.
        shape: (out, in, t, h, w).
    """
    if weight.dim() != 4 or len(shape) != 5 or weight.shape != (*shape[:2], *shape[3:]):
        return weight
    return weight.unsqueeze(2).repeat(1, 1, shape[2], 1, 1) / shape[2]


def adapt_to_backbone(
    backbone: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any
) -> None:
    """Hook before loading: take any of the above, in place, and inflate 2-D kernels.

    Raises:
        ValueError: A checkpoint for the backbone alone has no weight of it.
    """
    own = backbone.state_dict()
    if not prefix and own.keys().isdisjoint(state_dict):
        weights = to_authors(weights_of(state_dict))
        if own.keys().isdisjoint(weights):
            raise ValueError(
                f'checkpoint: no weight of {type(backbone).__name__} in it, '
                f'got keys {list(weights)[:5]}'
            )
        state_dict.clear()
        state_dict.update(weights)
    for name, x in own.items():
        if prefix + name in state_dict:
            state_dict[prefix + name] = inflate(state_dict[prefix + name], x.shape)
