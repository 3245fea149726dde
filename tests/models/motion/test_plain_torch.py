"""The examples of docs/swap.md for networks that know nothing of MMAction2."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmaction_emim.models import motion
from mmaction_emim.models.motion import EMIMAttention

PROGRAM = Path(__file__).with_name('torch_only.py')


class DiTBlock(nn.Module):
    """A block of a video diffusion transformer: attention and MLP, modulated by a condition."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False)
        self.attn = EMIMAttention(dim, heads, window=5)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.modulation = nn.Linear(dim, 6 * dim)

    def forward(self, x, condition):
        """(B, T, H, W, C) latent tokens, (B, C) condition -> (B, T, H, W, C)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[
            :, None, None, None
        ].chunk(6, dim=-1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class VAEMidBlock(nn.Module):
    """The attention block in the middle of a 3-D VAE, on (B, C, T, H, W) latents."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, dim)
        self.attn = EMIMAttention(dim, num_heads=1, window=7)

    def forward(self, x):
        """(B, C, T, H, W) -> (B, C, T, H, W)."""
        tokens = self.norm(x).permute(0, 2, 3, 4, 1)
        return x + self.attn(tokens).permute(0, 4, 1, 2, 3)


def test_video_dit_block():
    torch.manual_seed(0)
    block = DiTBlock(64, heads=4)
    x = torch.randn(2, 5, 8, 12, 64, requires_grad=True)
    out = block(x, torch.randn(2, 64))
    assert out.shape == x.shape
    out.square().mean().backward()
    for parameter in [x, *block.parameters()]:
        assert parameter.grad.isfinite().all()


def test_vae_mid_block():
    torch.manual_seed(0)
    block = VAEMidBlock(16)
    x = torch.randn(1, 16, 3, 9, 7, requires_grad=True)
    block(x).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in [x, *block.parameters()])


def test_memory_is_linear_in_time():
    """Each frame adds the same number of bytes kept for the backward pass."""
    module = EMIMAttention(32, 2, window=5)

    def saved(T):
        kept = {}  # one tensor may be kept by several nodes

        def pack(x):
            kept[x.data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = module(torch.randn(1, T, 10, 10, 32, requires_grad=True))
        del out
        return sum(kept.values())

    step = saved(9) - saved(5)
    assert saved(33) - saved(5) == pytest.approx(7 * step, rel=0.1)


@pytest.mark.parametrize('name', motion.__all__)
def test_in_a_plain_vit(name):
    """A timm-like ViT on flat tokens: (B, T*H*W, C) to (B, T, H, W, C) and back."""
    tokens = torch.randn(2, 3 * 4 * 5, 32)
    out = getattr(motion, name)(32)(tokens.unflatten(1, (3, 4, 5))).flatten(1, 3)
    assert out.shape == tokens.shape and out.isfinite().all()


@pytest.mark.parametrize('mmaction2', ['absent', 'installed'])
def test_torch_is_enough(run, mmaction2):
    """Nothing of MMAction2 is imported where it is installed either, and its registries know us."""
    done = run(str(PROGRAM), mmaction2)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed['shapes'] == {name: [1, 3, 4, 5, 32] for name in motion.__all__}
    assert printed['imported'] == []
    if mmaction2 == 'installed':
        assert printed['found'] == 'mmaction_emim.models.necks.emim_neck'
