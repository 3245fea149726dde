"""The attention that a motion module replaces: its weights, its heads, what it answers."""

import copy
import inspect
import re
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import ITSELF, WITHOUT_EFFECT

FUSED = ('qkv',)
SPLIT = (('q_proj', 'k_proj', 'v_proj'), ('query', 'key', 'value'), ('q', 'k', 'v'))
OUT = ('proj', 'out_proj', 'o_proj', 'dense')
HEADS = ('num_heads', 'num_attention_heads', 'heads', 'n_heads', 'n_head', 'nhead', 'nheads')


def attention_weights(name: str, attention: nn.Module) -> dict[str, Tensor]:
    """Weights of an attention layer under the names ``qkv`` and ``proj``.

    Args:
        name: The layer's, for errors.
        attention: With linear layers named as one of FUSED or SPLIT, and one of OUT, at any depth;
            biases may be missing, or be ``q_bias`` and ``v_bias``. Or ``nn.MultiheadAttention``.

    Returns:
        ``qkv.weight``, ``proj.weight`` and, where there are any, ``qkv.bias`` and ``proj.bias``;
        a bias that only some of q, k and v have is zero in the others.

    Raises:
        ValueError: There are no such layers, there are other parameters or norms besides, the scale
            is another, or k and v have fewer heads than q.
    """
    linear, own = _by_last_name(attention, nn.Linear), _by_last_name(attention, nn.Parameter)
    out = next((x for x in OUT if x in linear), None)
    joined = _joined(attention, linear, own)
    if joined is None or out is None:
        raise ValueError(
            f'{name}: q, k, v must be {", ".join("/".join(x) for x in (FUSED, *SPLIT))}, the '
            f'output one of {", ".join(OUT)}, all nn.Linear, or the parameter in_proj_weight; got '
            f'{", ".join(linear) or "none"}'
        )
    if not getattr(attention, 'batch_first', True):
        raise ValueError(f'{name}: its tokens are (L, B, C); build it with batch_first=True')
    read, weight, bias = joined
    _check_plain(name, attention, [*read, linear[out]], weight.shape[1])
    proj = attention.get_submodule(linear[out])
    weights = {'qkv.weight': weight}
    if bias is not None:
        weights['qkv.bias'] = bias
    weights['proj.weight'] = proj.weight
    if proj.bias is not None:
        weights['proj.bias'] = proj.bias
    dim = len(proj.weight)
    if weights['qkv.weight'].shape != (3 * dim, dim):
        raise ValueError(
            f'{name}: q, k and v must have {dim} channels each, '
            f'got {tuple(weights["qkv.weight"].shape)} for the three'
        )
    return {key: weight.detach().clone() for key, weight in weights.items()}


def _joined(
    attention: nn.Module, linear: dict[str, str], own: dict[str, str]
) -> tuple[list[str], Tensor, Tensor | None] | None:
    """Where q, k and v are, their weight and their bias; None: not found.

    Args:
        attention: The attention.
        linear: Its linear layers' paths by the last part of each.
        own: Its parameters' paths, likewise.
    """
    if 'in_proj_weight' in own:  # nn.MultiheadAttention's
        read = [own[key] for key in ('in_proj_weight', 'in_proj_bias') if key in own]
        return (read, *map(attention.get_parameter, read), None)[:3]
    parts = next((x for x in (FUSED, *SPLIT) if all(part in linear for part in x)), None)
    if parts is None:
        return None
    read, bias = [linear[part] for part in parts], None
    layers = [attention.get_submodule(path) for path in read]
    if any(layer.bias is not None for layer in layers):
        zero = [layer.weight.new_zeros(len(layer.weight)) for layer in layers]
        both = zip(layers, zero, strict=True)
        bias = torch.cat([none if x.bias is None else x.bias for x, none in both])
    elif 'q_bias' in own and 'v_bias' in own:
        read += [own['q_bias'], own['v_bias']]
        q_bias, v_bias = map(attention.get_parameter, read[-2:])
        bias = torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
    return read, torch.cat([layer.weight for layer in layers]), bias


def _by_last_name(attention: nn.Module, kind: type) -> dict[str, str]:
    """Paths of what is of a kind, by the last part of each."""
    named = (*attention.named_modules(), *attention.named_parameters())
    return {path.rpartition('.')[2]: path for path, x in named if isinstance(x, kind)}


def _check_plain(name: str, attention: nn.Module, read: list[str], dim: int) -> None:
    """Refuse what would be lost: norms, parameters that are not of ``read``, another scale."""
    modules = attention.named_modules()
    others = [path for path, m in modules if path and 'Norm' in type(m).__name__]
    others += [
        path
        for path, _ in attention.named_parameters()
        if path not in {f'{layer}{part}' for layer in read for part in ('', '.weight', '.bias')}
    ]
    if others:
        raise ValueError(f'{name}: motion modules have no {others[0]}, this attention has')
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
    if heads and scale is not None and abs(scale * (dim / heads) ** 0.5 - 1) > 1e-6:
        raise ValueError(
            f'{name}: motion modules scale queries by {(dim / heads) ** -0.5:.4g}, '
            f'this attention by {scale:.4g}'
        )


def check_answer(
    name: str, weights: dict[str, Tensor], heads: int, answered: tuple[Tensor, Any]
) -> None:
    """Refuse an attention whose answer is not softmax(q k^T / sqrt(d)) v of its weights.

    Raises:
        ValueError: It does something else as well, or has other heads.
    """
    x, answer = answered
    if x.is_meta:
        return
    answer = answer[0] if isinstance(answer, tuple | list) else answer
    w = {key: weight.float() for key, weight in weights.items()}
    qkv = F.linear(x, w['qkv.weight'], w.get('qkv.bias')).unflatten(-1, (3, heads, -1))
    out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).flatten(2)
    out = F.linear(out, w['proj.weight'], w.get('proj.bias'))
    if out.shape != getattr(answer, 'shape', None) or (out - answer).norm() > 0.01 * out.norm():
        raise ValueError(
            f'{name}: on random tokens it does not answer softmax(q k^T / sqrt(d)) v of its q, k, '
            f'v and {heads} heads; what else it does would be lost'
        )


def heads_of(module: nn.Module) -> int | None:
    """The number of heads that the module, or one inside, says; None if none does."""
    for each in module.modules():
        for name in HEADS:
            if isinstance(getattr(each, name, None), int):
                return getattr(each, name)
    return None


def answer_of(attention: nn.Module, qkv: Tensor) -> tuple[Tensor, Any] | None:
    """Random tokens, (1, 8, dim), and what a copy of an attention answers to them in float32.

    None where it cannot be called with tokens alone.

    Args:
        attention: The attention.
        qkv: Its weights, (3 * dim, dim): the tokens are such that q and k are large enough to tell.
    """
    tokens = torch.randn(1, 8, qkv.shape[1], generator=torch.Generator().manual_seed(0))
    tokens = tokens.to(qkv.device) * 2 * len(qkv) ** 0.5 / qkv.float().norm().clamp(min=1)
    needed = inspect.signature(attention.forward).parameters
    again = {key: tokens for key in ITSELF if key in needed}
    try:
        with torch.no_grad():
            return tokens, copy.deepcopy(attention).float().eval()(tokens, **again)
    except Exception:  # of any class, as attention is anybody's
        return None


def arguments_of(name: str, attention: nn.Module) -> tuple[str, ...]:
    """Names of what an attention is called with, its tokens first.

    Raises:
        ValueError: It has to be called with something that motion modules do not take.
    """
    first, *others = inspect.signature(attention.forward).parameters.values()
    for each in others:
        needed = each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        known = each.name in (*ITSELF, *WITHOUT_EFFECT) or 'mask' in each.name
        if needed and not known:
            raise ValueError(f'{name}: it needs {each.name}, which no motion module takes')
    return first.name, *(each.name for each in others)


def has_rotary(attention: nn.Module) -> bool:
    """Whether an attention itself turns q and k by their places, as its names say."""
    names = type(attention).__name__, *dir(attention)
    return any(re.search('rotary|rope(?!rt)', name.lower()) for name in names)


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
