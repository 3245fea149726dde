"""The attention that a motion module replaces: its weights, its heads, what it answers."""

import copy
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

FUSED = ('qkv',)
SPLIT = (('q_proj', 'k_proj', 'v_proj'), ('query', 'key', 'value'), ('q', 'k', 'v'))
OUT = ('proj', 'out_proj', 'o_proj', 'dense')
HEADS = ('num_heads', 'num_attention_heads', 'heads', 'n_heads', 'n_head', 'nhead', 'nheads')


def attention_weights(name: str, attention: nn.Module) -> dict[str, Tensor]:
    """Weights of an attention layer under the names ``qkv`` and ``proj``.

    Args:
        name: The layer's, for errors.
        attention: With linear layers named as one of FUSED or SPLIT, and one of OUT, at any depth;
            biases may be missing, or be ``q_bias`` and ``v_bias``.

    Returns:
        ``qkv.weight``, ``proj.weight`` and, where there are any, ``qkv.bias`` and ``proj.bias``;
        a bias that only some of q, k and v have is zero in the others.

    Raises:
        ValueError: There are no such layers, or the attention does what motion modules do not:
            norms of q and k, a gate, another scale, fewer heads of k and v than of q.
    """
    linear = {
        path.rpartition('.')[2]: layer
        for path, layer in attention.named_modules()
        if isinstance(layer, nn.Linear)
    }
    named = next((x for x in (FUSED, *SPLIT) if all(part in linear for part in x)), None)
    out = next((x for x in OUT if x in linear), None)
    if named is None or out is None:
        raise ValueError(
            f'{name}: q, k, v must be {", ".join("/".join(x) for x in (FUSED, *SPLIT))}, the '
            f'output one of {", ".join(OUT)}, all nn.Linear; got {", ".join(linear) or "none"}'
        )
    _check_plain(name, attention, linear)
    parts = [linear[part] for part in named]
    weights = {'qkv.weight': torch.cat([layer.weight for layer in parts])}
    dim = linear[out].weight.shape[0]
    if weights['qkv.weight'].shape != (3 * dim, dim):
        raise ValueError(
            f'{name}: q, k and v must have {dim} channels each, '
            f'got {tuple(weights["qkv.weight"].shape)} for the three'
        )
    state = attention.state_dict()
    q_bias, v_bias = (
        next((state[key] for key in state if key.rpartition('.')[2] == f'{part}_bias'), None)
        for part in 'qv'
    )
    if q_bias is not None and v_bias is not None:
        weights['qkv.bias'] = torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
    elif any(layer.bias is not None for layer in parts):
        biases = [x.weight.new_zeros(len(x.weight)) if x.bias is None else x.bias for x in parts]
        weights['qkv.bias'] = torch.cat(biases)
    weights['proj.weight'] = linear[out].weight
    if linear[out].bias is not None:
        weights['proj.bias'] = linear[out].bias
    return {key: weight.detach().clone() for key, weight in weights.items()}


def _check_plain(name: str, attention: nn.Module, linear: dict[str, nn.Linear]) -> None:
    for each in ('q_norm', 'k_norm', 'gate'):
        layer = getattr(attention, each, None)
        if layer is not None and not isinstance(layer, nn.Identity):
            raise ValueError(f'{name}: motion modules have no {each}, this attention has')
    heads = heads_of(attention)
    scale = next(
        (
            getattr(m, s)
            for m in attention.modules()
            for s in ('scale', 'scaling')
            if isinstance(getattr(m, s, None), float)
        ),
        None,
    )
    dim = next(iter(linear.values())).in_features
    if heads and scale is not None and abs(scale * (dim / heads) ** 0.5 - 1) > 1e-6:
        raise ValueError(
            f'{name}: motion modules scale queries by {(dim / heads) ** -0.5:.4g}, '
            f'this attention by {scale:.4g}'
        )


def heads_of(module: nn.Module) -> int | None:
    """The number of heads that the module, or one inside, says; None if none does."""
    for each in module.modules():
        for name in HEADS:
            if isinstance(getattr(each, name, None), int):
                return getattr(each, name)
    return None


def answer_of(attention: nn.Module, dim: int) -> tuple[Tensor, Any] | None:
    """Random tokens, (1, 8, dim), and what a copy of an attention answers to them in float32.

    None where it cannot be called with tokens alone.
    """
    tokens = torch.randn(1, 8, dim, generator=torch.Generator().manual_seed(0))
    tokens = tokens.to(next(attention.parameters()).device)
    try:
        with torch.no_grad():
            return tokens, copy.deepcopy(attention).float().eval()(tokens)
    except Exception:  # of any class, as attention is anybody's
        return None


def returns_a_tuple(name: str, attention: nn.Module, answered: tuple[Tensor, Any] | None) -> bool:
    """Whether an attention returns (output, weights): by its answer, or else by its annotation.

    Raises:
        ValueError: Neither tells.
    """
    kinds = {type(answered[1])} if answered else _annotated(attention)
    is_tuple = {
        issubclass(kind, tuple | list)
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, Tensor | tuple | list)
    }
    if len(kinds) != 1 or len(is_tuple) != 1:
        raise ValueError(
            f'{name}: nothing says whether it returns a tensor or a tuple (output, weights); '
            'say returns_tuple=True or False'
        )
    return is_tuple.pop()


def _annotated(attention: nn.Module) -> set[Any]:
    """Types that the annotation of ``forward`` says it returns."""
    try:
        said = get_type_hints(attention.forward).get('return')
    except Exception:  # names that are there only for type checkers
        return set()
    members = get_args(said) if get_origin(said) in (Union, UnionType) else (said,)
    return {get_origin(member) or member for member in members}
