"""M2A: self-attention over the differences of neighbouring frames gates every channel.

Source: Gebotys, Wong, Clausi, M2A: Motion Aware Attention, arXiv 2111.09976.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_tokens
from .layer_scale import new_layer_scale


class MotionAwareAttention(nn.Module):
    """Motion aware attention, ``x + x * sigmoid(conv_up(s + z))``.

    ``z = conv_down(x)`` has few channels; ``m`` is the difference of the next frame's ``z`` and
    this one's, each normalized over its whole frame; ``s`` is the attention of ``m`` with itself
    over time, one head and no projections. The output includes the input: it takes the place of
    ``x``, not of a residual branch.

    ``conv_down`` and ``conv_up`` are 1x1 convolutions, kept as Linear layers since tokens have
    their channels last; the authors' 4-D weights load as they are.

    Args:
        dim: Channels C of the tokens.
        reduction: C over the channels of ``z``. Defaults to 8, the authors'.
        layer_scale: None (default) is the authors' formula. A number is the first value of a
            learned factor a channel before the gate; 0 starts as the identity (ours).

    Raises:
        ValueError: ``reduction`` does not divide ``dim``.
    """

    includes_input = True

    def __init__(self, dim: int, reduction: int = 8, layer_scale: float | None = None) -> None:
        super().__init__()
        if reduction < 1 or dim % reduction:
            raise ValueError(
                f'MotionAwareAttention: reduction must divide dim={dim}, got {reduction}'
            )
        self.conv_down = nn.Linear(dim, dim // reduction)
        self.conv_up = nn.Linear(dim // reduction, dim)
        self.layer_scale = None
        if layer_scale is not None:
            self.layer_scale = new_layer_scale(self.conv_up.bias, layer_scale)
        self.register_load_state_dict_pre_hook(_flatten_convolutions)

    def start_as_identity(self) -> None:
        """Make the output the input, bit for bit, until trained."""
        if self.layer_scale is None:
            self.layer_scale = new_layer_scale(self.conv_up.bias)
        nn.init.zeros_(self.layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is 1: motion needs two frames.
        """
        check_tokens('MotionAwareAttention', x)
        z = self.conv_down(x)
        motion = _frame_differences(z).unsqueeze(1)  # one head
        attended = F.scaled_dot_product_attention(motion, motion, motion)
        gate = torch.sigmoid(self.conv_up(z + attended.view(z.shape).to(z.dtype)))
        if self.layer_scale is not None:
            gate = gate * self.layer_scale
        return x + x * gate.to(x.dtype)

    def attention(self, x: Tensor) -> Tensor:
        """The weights with which each frame's motion attends to every frame's.

        Args:
            x: Tokens, (B, T, H, W, C).

        Returns:
            (B, T, T), rows sum to 1; row and column t are of the change from frame t to t+1, the
            last of the last frame's own features. float32 where the layer computes in half
            precision.

        Raises:
            ValueError: As :meth:`forward`.
        """
        check_tokens('MotionAwareAttention', x)
        motion = _frame_differences(self.conv_down(x))
        return (motion @ motion.mT * motion.shape[-1] ** -0.5).softmax(-1)


def _frame_differences(z: Tensor) -> Tensor:
    """(B, T, H, W, c) -> (B, T, H*W*c): the next frame's minus this one's, each normalized."""
    frames = z.flatten(2).to(torch.promote_types(z.dtype, torch.float32))
    frames = F.layer_norm(frames, frames.shape[-1:])
    following = torch.cat([frames[:, 1:], torch.zeros_like(frames[:, :1])], dim=1)
    return following - frames


def _flatten_convolutions(module: nn.Module, state_dict: dict, prefix: str, *_: Any) -> None:
    for name in ('conv_down.weight', 'conv_up.weight'):
        weight = state_dict.get(prefix + name)
        if weight is not None and weight.dim() > 2:
            state_dict[prefix + name] = weight.flatten(1)  # (out, in, 1, 1) -> (out, in)
