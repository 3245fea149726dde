"""A motion module where a plain model's attention stood."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tokens import TokenGrid

# What a motion module can do without: its affinity has relative positions of its own, and models
# of transformers hand on what they themselves answer.
WITHOUT_EFFECT = (
    'position_embeddings',
    'rope',
    'interpolate_pos_encoding',
    'output_hidden_states',
    'return_dict',
    'average_attn_weights',
)
ITSELF = 'key', 'value'  # which self-attention is given as well, its tokens again


class MotionInPlace(nn.Module):
    """A motion module that is called as the attention that it replaced, on its layout.

    Tokens before the grid (class tokens, registers) attend to all tokens of their sequence with
    the module's ``qkv`` and ``proj``; they get zeros from a module without these.

    Args:
        name: The layer's, for errors.
        motion: Motion module on (B, T, H, W, C).
        layout: The layout of the attention's input.
        arguments: Names of the arguments of the attention's ``forward``, the tokens' first.
        as_tuple: Whether to return (output, None), as attention that may give its weights does.
    """

    # torch's encoder layers compute plain attention themselves where it is True.
    batch_first = False

    def __init__(
        self,
        name: str,
        motion: nn.Module,
        layout: TokenGrid,
        arguments: tuple[str, ...] = ('x',),
        as_tuple: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.motion = motion
        self.layout = layout
        self.arguments = arguments
        self.as_tuple = as_tuple

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor, None]:
        """Tokens of the layout -> the same.

        Raises:
            ValueError: A mask, or anything else that is not None or False and that a motion module
                has no use for, or tokens that are not the layout's.
        """
        given = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        if self.arguments[0] not in given:
            raise ValueError(f'{self.name}: called without {self.arguments[0]}, its tokens')
        hidden_states = given.pop(self.arguments[0])
        self._refuse({k: x for k, x in given.items() if k not in ITSELF or x is not hidden_states})
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
