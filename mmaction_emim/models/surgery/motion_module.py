"""Builds the motion module for one layer: what the layer knows, where the module takes it."""

import inspect
from collections.abc import Callable
from math import gcd
from typing import Any

from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim.models.weights.attention import fused_names

from .insertion_point import InsertionPoint

GIVEN = ('dim', 'num_heads', 'qkv_bias', 'proj_drop')


def module_name(motion: dict) -> str:
    """The name of a motion module's type, which a config may give as the class itself."""
    return getattr(motion['type'], '__name__', str(motion['type']))


def build_motion(
    motion: dict, point: InsertionPoint, attention: nn.Module | None = None
) -> nn.Module:
    """The motion module for an insertion point.

    Args:
        motion: Its config; ``type`` is a registered name or a class.
        point: Where it goes.
        attention: The layer that it replaces; None where it is inserted.

    Raises:
        ValueError: The module's constructor does not take the config's arguments or needs others,
            what it builds is no ``nn.Module``, or ``attention`` scales its queries as none does.
    """
    # An unknown name is the registry's to refuse.
    cls = MODELS.get(motion['type']) if isinstance(motion['type'], str) else motion['type']
    args: dict[str, Any] = dict(
        dim=point.dim, num_heads=point.num_heads or point.dim // gcd(point.dim, 64)
    )
    if attention is not None:
        weights = attention.state_dict()
        args['qkv_bias'] = 'qkv.bias' in {*weights, *fused_names(weights)}
        args['proj_drop'] = getattr(getattr(attention, 'proj_drop', None), 'p', 0.0)
        _check_scale(point, attention)
    if cls is not None:
        accepted = _accepted(cls)
        args = {name: value for name, value in args.items() if name in accepted}
    try:
        module = MODELS.build({**args, **motion})
    except TypeError as error:  # the constructor's
        raise ValueError(
            f'MotionBackbone: motion: {module_name(motion)}: {error}; MotionBackbone gives '
            f'{", ".join(GIVEN)} where they are taken, all else is for the config to say'
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f'MotionBackbone: motion: {module_name(motion)} must be an nn.Module on '
            f'(B, T, H, W, C), got {type(module).__name__}'
        )
    module.register_forward_hook(_check_output)
    return module


def _accepted(cls: Callable) -> set[str]:
    """Names that a constructor takes, those included that its ``**kwargs`` hand to a base class."""
    if not inspect.isclass(cls):
        return set(inspect.signature(cls).parameters)
    names: set[str] = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        names.update(p.name for p in parameters)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return names


def _check_scale(point: InsertionPoint, attention: nn.Module) -> None:
    scale, usual = getattr(attention, 'scale', None), (point.dim / point.num_heads) ** -0.5
    if scale is not None and abs(scale - usual) > 1e-6 * usual:
        raise ValueError(
            f'MotionBackbone: {point.attention} scales its queries by {scale}, the motion '
            f'module by {usual}; build the backbone without qk_scale'
        )


def _check_output(module: nn.Module, args: tuple[Tensor], out: Any) -> None:
    if not isinstance(out, Tensor) or out.shape != args[0].shape:
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f'{type(module).__name__}: the output must have the shape of the tokens, '
            f'{tuple(args[0].shape)}, got {got}'
        )
