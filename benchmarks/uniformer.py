"""EMIM-UniFormer in plain torch, so that its training step can be measured without MMAction2.

The same layers, names and numbers as ``mmaction_emim.models.EMIMUniFormer``, as a test proves.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.ops import depthwise_conv3d

ARCHS = {  # depth and channels of the four stages, channels of a head
    'tiny': ([0, 1, 2, 0], [16, 32, 64, 64], 64),
    'small': ([3, 4, 8, 3], [64, 128, 320, 512], 64),
    'base': ([5, 8, 20, 7], [64, 128, 320, 512], 64),
}


class DepthwiseConv3d(nn.Conv3d):
    def __init__(self, dim: int, side: int) -> None:
        super().__init__(dim, dim, side, padding=side // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv3d(x, self.weight, self.bias, self.padding)


class GlobalAttention(nn.Module):
    """Of all tokens of the clip, fused."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.attn_drop = nn.Dropout(0.0)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x.flatten(1, 3)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        out = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.proj(out.transpose(1, 2).flatten(2)).view(x.shape)


class MLP(nn.Module):
    def __init__(self, dim: int, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.fc1 = layer(dim, 4 * dim)
        self.fc2 = layer(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def pointwise(fan_in: int, fan_out: int) -> nn.Module:
    return nn.Conv3d(fan_in, fan_out, 1)


class ConvolutionBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos_embed = DepthwiseConv3d(dim, 3)
        self.norm1 = nn.BatchNorm3d(dim)
        self.conv1 = pointwise(dim, dim)
        self.conv2 = pointwise(dim, dim)
        self.attn = DepthwiseConv3d(dim, 5)
        self.norm2 = nn.BatchNorm3d(dim)
        self.mlp = MLP(dim, pointwise)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))


class AttentionBlock(nn.Module):
    def __init__(self, dim: int, attn: nn.Module) -> None:
        super().__init__()
        self.pos_embed = DepthwiseConv3d(dim, 3)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, nn.Linear)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x.permute(0, 2, 3, 4, 1)  # (B, T, H, W, C)
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 4, 1, 2, 3)


class PatchEmbed(nn.Module):
    def __init__(self, fan_in: int, dim: int, time: int, side: int) -> None:
        super().__init__()
        kernel, stride, padding = (time, side, side), (1, side, side), (time // 2, 0, 0)
        self.norm = nn.LayerNorm(dim)
        self.proj = nn.Conv3d(fan_in, dim, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.proj(x).permute(0, 2, 3, 4, 1))
        return x.permute(0, 4, 1, 2, 3).contiguous()


class UniFormer(nn.Module):
    """EMIM-UniFormer's backbone.

    Args:
        arch: ``'tiny'``, ``'small'`` or ``'base'``.
        alternation: ``'LG'``: EMIM and global attention in turns. ``'G'``: global attention.
        **emim: Arguments of ``EMIMAttention``.
    """

    def __init__(self, arch: str, alternation: str = 'LG', **emim: object) -> None:
        super().__init__()
        depth, dims, head_dim = ARCHS[arch]
        for i, (n, fan_in, dim) in enumerate(zip(depth, [3, *dims], dims, strict=False), 1):
            time, side = (3, 4) if i == 1 else (1, 2)
            setattr(self, f'patch_embed{i}', PatchEmbed(fan_in, dim, time, side))
            blocks = nn.ModuleList()
            for j in range(n):
                if i <= 2:
                    blocks.append(ConvolutionBlock(dim))
                elif alternation[j % len(alternation)] == 'L':
                    attn = EMIMAttention(dim, dim // head_dim, **emim)
                    blocks.append(AttentionBlock(dim, attn))
                else:
                    blocks.append(AttentionBlock(dim, GlobalAttention(dim, dim // head_dim)))
            setattr(self, f'blocks{i}', blocks)
        self.norm = nn.BatchNorm3d(dims[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, C, T, H / 32, W / 32)."""
        for i in range(1, 5):
            x = getattr(self, f'patch_embed{i}')(x)
            for block in getattr(self, f'blocks{i}'):
                x = block(x)
        return self.norm(x)
