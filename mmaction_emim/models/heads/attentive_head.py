"""Classification from tokens by learned queries: the attentive probe of V-JEPA.

Source: Bardes et al., Revisiting Feature Prediction for Learning Visual Representations from Video,
arXiv 2404.08471; of four blocks: Assran et al., V-JEPA 2, arXiv 2506.09985.
"""

import math
from typing import Any

import torch
from mmaction.models import BaseHead
from mmaction.registry import MODELS
from torch import Tensor, nn


class _Block(nn.Module):
    """A pre-norm transformer block, whose queries may be others than the tokens."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, tokens: Tensor, queries: Tensor | None = None) -> Tensor:
        """(N, L, C), and queries (N, Q, C) -> (N, L, C), or (N, Q, C)."""
        keys = self.norm1(tokens)
        x, q = (tokens, keys) if queries is None else (queries, queries)
        x = x + self.attn(q, keys, keys, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


@MODELS.register_module()
class AttentiveHead(BaseHead):
    """Learned queries gather the tokens of a map by cross-attention; a linear layer reads them.

    ``depth - 1`` blocks of self-attention come first, as in V-JEPA 2. Mean pooling, without
    attention, is MMAction2's ``I3DHead``. Ours: the attention has an output projection, several
    queries are averaged, and ``frame_positions``.

    Args:
        num_classes: Number of classes.
        in_channels: Channels C of the map.
        head_dim: Channels of an attention head; divides ``in_channels``. Defaults to 64.
        depth: Blocks, the one with the queries included; 1 (V-JEPA) to 4 (V-JEPA 2). Defaults to 1.
        num_queries: Defaults to 1.
        mlp_ratio: Hidden units of a block's MLP by its channels. Defaults to 4.
        num_segments: Frames T of features (N*T, C, H, W), which a ``Recognizer2D`` with a neck does
            not tell. Default None: the ``num_segs`` that it gives.
        frame_positions: Whether sines and cosines of each frame's number are added to its tokens.
            Without, nothing tells frames of an image network apart. Defaults to False.
        dropout_ratio: Dropout rate before the linear layer. Defaults to 0.
        **kwargs: ``BaseHead``'s: ``loss_cls``, ``multi_class``, ``label_smooth_eps``, ``topk``,
            ``average_clips``, ``init_cfg``.

    Raises:
        ValueError: An argument is not as above; from ``forward``, the features are no map of C
            channels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        head_dim: int = 64,
        depth: int = 1,
        num_queries: int = 1,
        mlp_ratio: float = 4.0,
        num_segments: int | None = None,
        frame_positions: bool = False,
        dropout_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if head_dim < 1 or in_channels % head_dim:
            raise ValueError(
                f'AttentiveHead: head_dim must divide in_channels={in_channels}, got {head_dim}; '
                "in_channels must be the backbone's or neck's"
            )
        for name, value in dict(depth=depth, num_queries=num_queries).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'AttentiveHead: {name} must be 1 or more, got {value!r}')
        if frame_positions and in_channels % 2:
            raise ValueError(
                f'AttentiveHead: frame_positions needs even in_channels, got {in_channels}'
            )
        self.num_segments = num_segments
        self.frame_positions = frame_positions
        self.queries = nn.Parameter(torch.empty(num_queries, in_channels))
        self.blocks = nn.ModuleList(
            _Block(in_channels, in_channels // head_dim, mlp_ratio) for _ in range(depth)
        )
        self.dropout = nn.Dropout(dropout_ratio)
        self.fc_cls = nn.Linear(in_channels, num_classes)
        self._start()

    def init_weights(self) -> None:
        super().init_weights()
        self._start()

    def _start(self) -> None:
        """V-JEPA's: std 0.02, and what the n-th block adds divided by sqrt(2 n)."""
        nn.init.trunc_normal_(self.queries, std=0.02)
        for n, block in enumerate(self.blocks, start=1):
            adds = block.attn.out_proj, block.mlp[2]
            for layer in (*adds, block.mlp[0]):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
            nn.init.trunc_normal_(block.attn.in_proj_weight, std=0.02)
            nn.init.zeros_(block.attn.in_proj_bias)
            with torch.no_grad():
                for layer in adds:
                    layer.weight.div_(math.sqrt(2 * n))
        nn.init.trunc_normal_(self.fc_cls.weight, std=0.02)
        nn.init.zeros_(self.fc_cls.bias)

    def forward(self, x: Tensor, num_segs: int | None = None, **kwargs: Any) -> Tensor:
        """Scores (N, classes), before softmax.

        Args:
            x: (N, C, T, H, W); or (N*T, C, H, W), as of ``Recognizer2D``.
            num_segs: T of the latter, if ``num_segments`` is None.
            **kwargs: What recognizers tell other heads.
        """
        T = self.num_segments or num_segs
        if x.dim() == 4 and T and x.shape[0] % T == 0:
            x = x.unflatten(0, (-1, T)).transpose(1, 2)
        if x.dim() != 5 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'AttentiveHead: features must be (N, {self.in_channels}, T, H, W), got '
                f"{tuple(x.shape)}; in_channels must be the backbone's or neck's"
            )
        tokens = x.permute(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        if self.frame_positions:
            positions = frame_positions(x.shape[2], self.in_channels).to(tokens)
            tokens = tokens + positions[:, None, None]
        tokens = tokens.flatten(1, 3)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        queries = self.queries.to(tokens.dtype).repeat(tokens.shape[0], 1, 1)
        pooled = self.blocks[-1](tokens, queries).mean(dim=1)
        return self.fc_cls(self.dropout(pooled))


def frame_positions(T: int, dim: int) -> Tensor:
    """Sines and cosines of T frames' numbers, (T, dim), as of the first transformer."""
    rates = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angles = torch.arange(T)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
