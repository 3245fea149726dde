"""``insert_motion`` and ``replace_attention``: motion modules in a model that is already built."""

import inspect
from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from mmaction_emim.models import motion as modules
from mmaction_emim.models.motion.emim import match_keys
from mmaction_emim.models.surgery.insertion import Insertion

from .attention import MotionInPlace
from .original import (
    HEADS,
    answer_of,
    arguments_of,
    attention_weights,
    check_answer,
    has_rotary,
    heads_of,
    returns_a_tuple,
)
from .report import Report
from .tokens import TokenGrid


def insert_motion(
    model: nn.Module,
    motion: Mapping[str, Any],
    where: str,
    grid: tuple[int, int, int],
    *,
    order: str = 'clip',
    prefix: int = 0,
    zero_init: bool = True,
) -> Report:
    """Put a motion module before each layer of a model that matches, as a residual branch.

    The model is changed in place: a layer gets a child ``motion`` and a hook; names of all that was
    there stay, so its checkpoints load with ``strict=False``. Tokens before the grid pass by.

    Args:
        model: Any module.
        motion: ``dict(type='EMIMAttention', window=7)``: a name of
            :mod:`mmaction_emim.models.motion`, or a class, and its options. ``dim`` and
            ``num_heads`` are the layer's unless given.
        where: Names of layers whose first argument, or ``hidden_states``, is the tokens, by place
            or by name: part for part as file names (``encoder.layer.*``, ``blocks.1?``).
        grid: (T, H, W) of the tokens.
        order: See :class:`.TokenGrid`. Defaults to ``'clip'``.
        prefix: Number of tokens before the grid. Defaults to 0.
        zero_init: Whether the model computes at first, bit for bit, what it did. Defaults to True.

    Returns:
        The report; print it.

    Raises:
        ValueError: Nothing matches, or an argument is not as above.
    """
    layout, rows, branches = TokenGrid(grid, order, prefix), [], []
    for name in _matching(model, where):
        layer, label = model.get_submodule(name), f'insert_motion: {name}'
        if hasattr(layer, 'motion'):
            raise ValueError(f'{label} has a motion already')
        dim = (motion.get('dim') if isinstance(motion, Mapping) else None) or _dim(label, layer)
        heads = heads_of(layer) or dim // gcd(dim, 64)
        module = _build(label, motion, dim=dim, num_heads=heads)
        branch = Insertion(label, module, dim, layout, zero_init)
        branches.append((label, layer, branch.to(next(layer.parameters())).train(layer.training)))
        rows.append((name, type(module).__name__, _count(branch)))
    for label, layer, branch in branches:  # all or, after an error, none
        layer.motion = branch
        layer.register_forward_pre_hook(_MotionFirst(label, layer), with_kwargs=True)
    return Report(f'insert in {type(model).__name__}', rows, _count(model))


def replace_attention(
    model: nn.Module,
    motion: Mapping[str, Any],
    where: str,
    grid: tuple[int, int, int],
    *,
    order: str = 'clip',
    prefix: int = 0,
    returns_tuple: bool | None = None,
) -> Report:
    """Put a motion module in the place of each attention layer of a model that matches.

    Its q, k, v and output projection are copied, from fused or separate layers, so load a
    checkpoint of the original before. Masks are refused when they come, and rotary position
    embeddings have no effect: the affinity has relative positions of its own.

    Args:
        model: Any module; changed in place.
        motion: As in :func:`insert_motion`; ``num_heads`` must be given where the attention does
            not say its own.
        where: Names of the attention layers, as in :func:`insert_motion`
            (``encoder.layer.*.attention``): what is called with tokens and holds q, k, v and
            the output projection.
        grid: (T, H, W) of the tokens.
        order: See :class:`.TokenGrid`. Defaults to ``'clip'``.
        prefix: Number of tokens before the grid; they go on attending to all. Defaults to 0.
        returns_tuple: Whether the attention returns (output, weights), not the output alone.
            Default None: what it returns for eight random tokens, or else its annotation says.

    Returns:
        The report; print it.

    Raises:
        ValueError: Nothing matches, the attention has weights that no motion module has or answers
            random tokens otherwise than plain attention, the module cannot replace this attention,
            or an argument is not as above.
    """
    layout, rows, replacements = TokenGrid(grid, order, prefix), [], []
    for name in _matching(model, where):
        attention, label = model.get_submodule(name), f'replace_attention: {name}'
        weights = attention_weights(label, attention)
        dim, heads, bias = len(weights['proj.weight']), heads_of(attention), 'qkv.bias' in weights
        module = _build(label, motion, dim=dim, num_heads=heads, qkv_bias=bias)
        _check_replacing(label, module, order)
        answered = answer_of(attention, weights['qkv.weight'])
        heads = heads or motion.get('num_heads')
        if answered and heads and not has_rotary(attention):
            check_answer(label, weights, heads, answered)
        _load(module, weights)
        arguments = arguments_of(label, attention)
        as_tuple = returns_tuple
        if as_tuple is None:
            as_tuple = returns_a_tuple(label, attention, answered)
        new = MotionInPlace(label, module, layout, arguments, as_tuple)
        replacements.append((name, new.to(weights['qkv.weight']).train(attention.training)))
        rows.append((name, type(module).__name__, _count(new) - _count(attention)))
    for name, new in replacements:  # all or, after an error, none
        parent, _, child = name.rpartition('.')
        setattr(model.get_submodule(parent), child, new)
    return Report(f'replace in {type(model).__name__}', rows, _count(model))


class _MotionFirst:
    """Hook of a layer: its tokens, however it is called with them, get motion first."""

    def __init__(self, label: str, layer: nn.Module) -> None:
        self.label = label
        first = next(iter(inspect.signature(layer.forward).parameters), 'hidden_states')
        self.names = list(dict.fromkeys([first, 'hidden_states']))

    def __call__(self, layer: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        if args:
            return (layer.motion(args[0]), *args[1:]), kwargs
        for name in self.names:
            if name in kwargs:
                return args, {**kwargs, name: layer.motion(kwargs[name])}
        raise ValueError(
            f'{self.label}: tokens are its first argument, or {" or ".join(self.names)}; it was '
            f'called with {", ".join(kwargs) or "nothing"}'
        )


def _matching(model: nn.Module, where: str) -> list[str]:
    """Names of modules that a pattern matches, part for part.

    Raises:
        ValueError: There are none.
    """
    parts = where.split('.')
    names = [name for name, _ in model.named_modules() if name]

    def matches(name: str) -> bool:
        own = name.split('.')
        return len(own) == len(parts) and all(map(fnmatchcase, own, parts))

    found = [name for name in names if matches(name)]
    if not found:
        shown = [name for name in names if name.count('.') <= where.count('.')][:30]
        raise ValueError(
            f'where={where!r} matches no layer of {type(model).__name__}; there are '
            f'{", ".join(shown)} and what they hold'
        )
    return found


def _dim(name: str, layer: nn.Module) -> int:
    """Channels of a layer's input, by the first norm or linear layer inside."""
    for each in layer.modules():
        if isinstance(each, nn.LayerNorm):
            return each.normalized_shape[-1]
        if isinstance(each, nn.Linear):
            return each.in_features
    raise ValueError(f'{name}: no LayerNorm or Linear inside tells the channels; say motion.dim')


def _build(label: str, motion: Mapping[str, Any], **known: int | bool | None) -> nn.Module:
    """The module of a config, given what is known of the layer and the constructor takes.

    Raises:
        ValueError: The config is not as it should be, or leaves open what is None in ``known``.
    """
    if not isinstance(motion, Mapping) or 'type' not in motion:
        raise ValueError(f'{label}: motion must be a dict with a type, got {motion!r}')
    options = dict(motion)
    cls = options.pop('type')
    if isinstance(cls, str):
        if cls not in modules.__all__:
            raise ValueError(
                f'{label}: motion: type: got {cls!r}; accepted are a class and '
                f'{", ".join(modules.__all__)}'
            )
        cls = getattr(modules, cls)
    taken = inspect.signature(cls).parameters
    options = {**{name: value for name, value in known.items() if name in taken}, **options}
    if options.get('num_heads', 1) is None:
        raise ValueError(
            f'{label}: it says none of {", ".join(HEADS)}; say motion.num_heads, as many as it has'
        )
    try:
        return cls(**options)
    except TypeError as error:
        raise ValueError(f'{label}: motion: {cls.__name__}: {error}') from error


def _check_replacing(label: str, module: nn.Module, order: str) -> None:
    name = type(module).__name__
    if getattr(module, 'includes_input', False):
        raise ValueError(
            f"{label}: the output of {name} includes its input, an attention's does not; "
            'use insert_motion'
        )
    if getattr(module, 'over_time_only', False) and order != 'track':
        raise ValueError(
            f'{label}: {name} attends over time only, attention with order={order!r} also over '
            'space; use insert_motion'
        )


@torch.no_grad()
def _load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy what the module has a place for."""
    own = module.state_dict()
    if 'proj.bias' in own and 'proj.bias' not in weights:
        weights = {**weights, 'proj.bias': torch.zeros_like(own['proj.bias'])}
    module.load_state_dict({name: x for name, x in weights.items() if name in own}, strict=False)
    if getattr(module, 'match_init', False):
        match_keys(module.qkv)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
