"""A motion module where a plain model's attention stood."""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tokens import TokenGrid

FUSED = ('qkv',)
SPLIT = (('q_proj', 'k_proj', 'v_proj'), ('query', 'key', 'value'), ('q', 'k', 'v'))
OUT = ('proj', 'out_proj', 'o_proj', 'dense')
HEADS = ('num_heads', 'num_attention_heads', 'heads')
# What a motion module can do without: its affinity has relative positions of its own.
WITHOUT_EFFECT = ('position_embeddings', 'interpolate_pos_encoding', 'return_dict')


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


def returns_a_tuple(attention: nn.Module) -> bool:
    """Whether an attention's ``forward`` says that it returns (output, weights)."""
    return 'tuple' in str(inspect.signature(attention.forward).return_annotation).lower()


class MotionInPlace(nn.Module):
    """A motion module that is called as the attention that it replaced, on its layout.

    Tokens before the grid (class tokens, registers) attend to all tokens of their sequence with
    the module's ``qkv`` and ``proj``; they get zeros from a module without these.

    Args:
        name: The layer's, for errors.
        motion: Motion module on (B, T, H, W, C).
        layout: The layout of the attention's input.
        arguments: Names of the arguments of the attention's ``forward`` after the tokens.
        as_tuple: Whether to return (output, None), as attention that may give its weights does.
    """

    def __init__(
        self,
        name: str,
        motion: nn.Module,
        layout: TokenGrid,
        arguments: tuple[str, ...] = (),
        as_tuple: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.motion = motion
        self.layout = layout
        self.arguments = arguments
        self.as_tuple = as_tuple

    def forward(
        self, hidden_states: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor | tuple[Tensor, None]:
        """Tokens of the layout -> the same.

        Raises:
            ValueError: A mask, or anything else that is not None or False and that a motion module
                has no use for, or tokens that are not the layout's.
        """
        self._refuse({**dict(zip(self.arguments, args, strict=False)), **kwargs})
        try:
            tokens, prefix = self.layout.split(hidden_states)
            out = self.motion(tokens).to(hidden_states.dtype)
        except ValueError as error:
            raise ValueError(f'{self.name}: {error}') from error
        out = self.layout.merge(out, self._of_prefix(prefix, hidden_states))
        return (out, None) if self.as_tuple else out

    def _refuse(self, options: dict[str, Any]) -> None:
        for name, value in options.items():
            if value is None or value is False or name in WITHOUT_EFFECT:
                continue
            raise ValueError(
                f'{self.name}: {type(self.motion).__name__} takes no {name}, '
                f'got {type(value).__name__}; leave it out'
            )

    def _of_prefix(self, prefix: Tensor, x: Tensor) -> Tensor:
        motion = self.motion
        if not self.layout.prefix or not hasattr(motion, 'qkv'):
            return torch.zeros_like(prefix)
        qkv = motion.qkv(x).unflatten(-1, (3, motion.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q[:, :, : self.layout.prefix], k, v)
        return motion.proj(out.transpose(1, 2).flatten(2)).to(x.dtype)
