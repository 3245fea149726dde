import numpy as np
import pytest
import torch

from mmaction_emim.models.motion import EMIMAttention


def by_the_formulas(x, module, mask=False):
    """FACTS: the operator, written out for one token at a time in numpy float64."""
    p = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    heads, w = p['rpb'].shape[:2]
    B, T, H, W, C = x.shape
    d, r = C // heads, w // 2
    qkv = x @ p['qkv.weight'].T + p['qkv.bias']
    out = np.zeros_like(x)
    for n, t, y, z in np.ndindex(B, T, H, W):
        pair = min(t, T - 2)  # the last frame repeats the last pair
        token = np.zeros(C)
        for h in range(heads):
            cut = slice(h * d, (h + 1) * d)
            q = qkv[n, pair, y, z, :C][cut] * d**-0.5
            affinity, values, inside = [], [], []
            for a, b in np.ndindex(w, w):
                ky, kx = y + a - r, z + b - r
                if 0 <= ky < H and 0 <= kx < W:
                    k = qkv[n, pair + 1, ky, kx, C : 2 * C][cut]
                    v = qkv[n, pair + 1, ky, kx, 2 * C :][cut]
                    inside.append(True)
                else:
                    k = v = np.full(d, 1e-6)
                    inside.append(False)
                affinity.append(q @ k + p['rpb'][h, a, b])
                values.append(v)
            affinity, inside = np.array(affinity), np.array(inside)
            weight = np.exp(affinity - affinity.max())
            if mask:
                weight, affinity = weight * inside, affinity * inside
            weight = weight / weight.sum()
            hidden = p['motion_conv.0.weight'] @ affinity + p['motion_conv.0.bias']
            hidden = hidden / (1 + np.exp(-1.702 * hidden))
            motion = p['motion_conv.2.weight'] @ hidden + p['motion_conv.2.bias']
            token[cut] = weight @ np.array(values) + motion
        out[n, t, y, z] = p['proj.weight'] @ token + p['proj.bias']
    return out


@pytest.mark.parametrize('out_of_frame', ['pad', 'mask'])
@pytest.mark.parametrize('T', [2, 3])
def test_equals_the_formulas(T, out_of_frame):
    torch.manual_seed(0)
    module = EMIMAttention(6, 2, window=3, out_of_frame=out_of_frame).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, T, 3, 5, 6, dtype=torch.float64)
    want = by_the_formulas(x.numpy(), module, out_of_frame == 'mask')
    np.testing.assert_allclose(module(x).detach().numpy(), want, rtol=1e-10, atol=1e-10)


def test_starts_without_motion_and_with_small_bias():
    module = EMIMAttention(64, 2)
    assert not module.motion_conv[2].weight.any() and not module.motion_conv[2].bias.any()
    assert 0.01 < module.rpb.std() < 0.03
    assert module.rpb.shape == (2, 7, 7)


def test_match_init_makes_the_affinity_a_similarity():
    torch.manual_seed(0)
    C = 64
    module = EMIMAttention(C, 1, window=3, match_init=True)
    q, k, _ = module.qkv.weight.chunk(3)
    assert torch.equal(q, k)
    q, k, _ = EMIMAttention(C, 1, window=3).qkv.weight.chunk(3)
    assert not torch.equal(q, k)


@pytest.mark.parametrize(
    'change', [dict(window=4), dict(num_heads=3), dict(out_of_frame='x')], ids=str
)
def test_refuses_bad_arguments(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EMIMAttention(**{**dict(dim=8, num_heads=2), **change})
