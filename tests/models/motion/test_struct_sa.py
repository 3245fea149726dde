"""StructSA's formula, with the correlation map that the module never makes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmaction_emim.models.motion import StructuralSelfAttention


def definition(module, x):
    """(T, H, W, C) -> the same, in numpy: query by query, place by place."""
    T, H, W, C = x.shape
    d, r, side = C // module.num_heads, module.kernel_size // 2, module.kernel_size
    qkv, proj = (
        [p.detach().numpy() for p in layer.parameters()] for layer in (module.qkv, module.proj)
    )
    U_K, U_V = (p.detach().numpy() for p in (module.key_patterns, module.value_kernels))
    q, k, v = np.split(x @ qkv[0].T + qkv[1], 3, axis=-1)
    out = np.zeros_like(x)
    for head in range(module.num_heads):
        channels = slice(head * d, head * d + d)
        values = np.pad(v[..., channels], [(r, r)] * 3 + [(0, 0)])
        for i in np.ndindex(T, H, W):
            correlation = np.pad(k[..., channels] @ q[i][channels] / d**0.5, r)
            scores = np.zeros((T, H, W, module.patterns))
            for m in np.ndindex(side, side, side):
                near = correlation[m[0] : m[0] + T, m[1] : m[1] + H, m[2] : m[2] + W]
                scores += near[..., None] * U_K[head, :, m[0], m[1], m[2]]
            attention = np.exp(scores - scores.max())
            attention /= attention.sum()
            for j in np.ndindex(T, H, W):
                kernel = np.tensordot(attention[j], U_V[head], 1)  # (side, side, side)
                near = values[tuple(slice(a, a + side) for a in j)]
                out[i][channels] += np.tensordot(kernel, near, 3)
    return out @ proj[0].T + proj[1]


@pytest.mark.parametrize('patterns, kernel_size', [(3, 3), (1, 3), (2, 1)])
def test_formula(patterns, kernel_size):
    torch.manual_seed(0)
    module = StructuralSelfAttention(8, 2, patterns, kernel_size).double()
    for kernels in (module.key_patterns, module.value_kernels):
        torch.nn.init.normal_(kernels)
    x = torch.randn(2, 2, 3, 4, 8, dtype=torch.float64)
    out = module(x).detach().numpy()
    for clip in range(2):
        np.testing.assert_allclose(out[clip], definition(module, x[clip].numpy()), atol=1e-10)


def test_it_starts_near_the_attention_whose_weights_it_takes():
    torch.manual_seed(0)
    module = StructuralSelfAttention(32, 4)
    x = torch.randn(1, 3, 4, 5, 32)
    q, k, v = module.qkv(x).view(1, 60, 3, 4, 8).permute(2, 0, 3, 1, 4)
    plain = module.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape))
    ours = module(x)
    assert 0 < (ours - plain).norm() < 0.3 * plain.norm()
    for kernels in (module.key_patterns, module.value_kernels):
        kernels.data = torch.zeros_like(kernels)
        kernels.data[:, :, 1, 1, 1] = 1
    torch.testing.assert_close(module(x), plain)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_heads=3), 'StructuralSelfAttention: num_heads must divide dim=8, got 3'),
        (dict(patterns=0), 'StructuralSelfAttention: patterns must be above 0, got 0'),
        (dict(kernel_size=2), 'StructuralSelfAttention: kernel_size must be odd, got 2'),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else '',
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        StructuralSelfAttention(8, **options)
