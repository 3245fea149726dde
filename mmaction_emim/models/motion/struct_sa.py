"""StructSA: attention whose scores are patterns that convolutions find in the correlation map.

Source: Kim, Seo, Schmid, Cho, Learning Correlation Structures for Vision Transformers, CVPR 2024,
arXiv 2404.03924. The paper's code is not public.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_heads, check_tokens


class StructuralSelfAttention(nn.Module):
    """Structural self-attention over all tokens of a clip; a drop-in for attention.

    For query i, each place j and each offset m of a neighbourhood of M tokens in time and space:

    - ``s_i(j) = q_i . k_j / sqrt(d)``, the correlation map, 0 outside the clip;
    - ``A_i(j, p) = softmax over all j and p of sum_m s_i(j + m) U_K(m, p)``: P patterns of the map;
    - ``y_i = sum_j,m (sum_p A_i(j, p) U_V(m, p)) v_j+m``: each place gives its neighbourhood of
      values through a kernel of its own.

    Both sums over m can be done before queries meet keys, so this is plain attention to N * P keys
    and values, which are k and v convolved with U_K and U_V; memory does not grow with N * N where
    torch has a fused attention. ``qkv`` and ``proj`` have plain attention's shapes, so its weights
    load as they are.

    From the paper: the formula, its 'contextual value aggregation', P of 4 and M of 3x3x3. Ours,
    where it is silent: U_K and U_V are each head's own and shared by its channels, and start as
    the place itself (plain attention) with noise of std 0.02, which tells patterns apart. Not
    here: the stride of keys with which the paper makes it cheaper.

    Args:
        dim: Channels C of the tokens.
        num_heads: Heads; divides ``dim``. Defaults to 8.
        patterns: P, the number of patterns. Defaults to 4.
        kernel_size: Side of the neighbourhood, in frames and tokens; odd. Defaults to 3.
        qkv_bias: Whether q, k and v have a bias. Defaults to True.
        proj_drop: Dropout rate after the projection. Defaults to 0.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        patterns: int = 4,
        kernel_size: int = 3,
        qkv_bias: bool = True,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads('StructuralSelfAttention', dim, num_heads)
        if patterns < 1:
            raise ValueError(f'StructuralSelfAttention: patterns must be above 0, got {patterns}')
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'StructuralSelfAttention: kernel_size must be odd, got {kernel_size}')
        self.num_heads = num_heads
        self.patterns = patterns
        self.kernel_size = kernel_size
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        shape = (num_heads, patterns, kernel_size, kernel_size, kernel_size)
        self.key_patterns = nn.Parameter(torch.empty(shape))
        self.value_kernels = nn.Parameter(torch.empty(shape))
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Initialize what plain attention lacks (MMEngine calls this after a parent's init_cfg)."""
        r = self.kernel_size // 2
        for kernels in (self.key_patterns, self.value_kernels):
            nn.init.trunc_normal_(kernels, std=0.02)
            kernels[:, :, r, r, r] += 1

    def start_as_identity(self) -> None:
        """Make the output zero until trained, so that a residual branch adds nothing."""
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any T of 2 or more, H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is 1.
        """
        check_tokens('StructuralSelfAttention', x)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(4, 0, 5, 6, 1, 2, 3)  # 3 x (B, heads, d, T, H, W)
        k = self._neighbourhoods(k, self.key_patterns)  # (B, heads, N * P, d)
        v = self._neighbourhoods(v, self.value_kernels)
        out = F.scaled_dot_product_attention(q.flatten(3).mT, k, v)  # (B, heads, N, d)
        out = out.transpose(1, 2).reshape(x.shape)
        return self.proj_drop(self.proj(out))

    def _neighbourhoods(self, x: Tensor, kernels: Tensor) -> Tensor:
        """(B, heads, d, T, H, W) -> (B, heads, N * P, d): each place's neighbours, summed up."""
        B, heads, d = x.shape[:3]
        x = x.transpose(1, 2).flatten(0, 1)  # (B * d, heads, T, H, W)
        weight = kernels.flatten(0, 1).unsqueeze(1).to(x.dtype)
        out = F.conv3d(x, weight, padding=self.kernel_size // 2, groups=heads)
        return out.view(B, d, heads, -1).permute(0, 2, 3, 1)

    def extra_repr(self) -> str:
        return (
            f'num_heads={self.num_heads}, patterns={self.patterns}, kernel_size={self.kernel_size}'
        )
