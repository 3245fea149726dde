"""Attention of all tokens of a clip, started as EMIM is: a control for studies of EMIM."""

import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim.models.motion.checks import check_heads
from mmaction_emim.models.motion.emim import match_keys


@MODELS.register_module()
class JointAttention(nn.Module):
    """Plain self-attention over space and time, a motion module only by its interface.

    Args:
        dim: Channels C of the tokens.
        num_heads: Heads; divides ``dim``. Defaults to 8.
        qkv_bias: Whether q, k and v have a bias. Defaults to True.
        proj_drop: Dropout rate after the projection. Defaults to 0.
        match_init: Whether keys start with the queries' weights, see :class:`EMIMAttention`.
            Defaults to False.

    Raises:
        ValueError: ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        qkv_bias: bool = True,
        proj_drop: float = 0.0,
        match_init: bool = False,
    ) -> None:
        super().__init__()
        check_heads('JointAttention', dim, num_heads)
        self.num_heads = num_heads
        self.match_init = match_init
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.init_weights()

    def init_weights(self) -> None:
        """Match the keys (MMEngine calls this after a parent's init_cfg)."""
        if self.match_init:
            match_keys(self.qkv)

    def start_as_identity(self) -> None:
        """Make the output zero until trained, so that a residual branch adds nothing."""
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any T, H and W."""
        qkv = self.qkv(x).flatten(1, 3).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, T*H*W, d)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return self.proj_drop(self.proj(out))

    def extra_repr(self) -> str:
        return f'num_heads={self.num_heads}'
