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


@pytest.mark.parametrize('backend', ['reference', 'dense'])
@pytest.mark.parametrize('out_of_frame', ['pad', 'mask'])
def test_the_affinity_is_the_one_that_forward_uses(out_of_frame, backend):
    """Context and motion, made of ``affinity``, are the output of the layer."""
    torch.manual_seed(0)
    module = EMIMAttention(6, 2, window=3, out_of_frame=out_of_frame, backend=backend).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    affinity = module.affinity(x)  # (B, T-1, heads, H, W, w*w)
    assert affinity.shape == (2, 2, 2, 4, 5, 9)
    v = module.qkv(x)[..., 12:].unflatten(-1, (2, 3)).permute(0, 1, 4, 2, 3, 5)[:, 1:]
    padded = torch.nn.functional.pad(v, (0, 0, 1, 1, 1, 1), value=1e-6)
    values = padded.unfold(3, 3, 1).unfold(4, 3, 1).flatten(-2)  # (..., H, W, d, w*w)
    logits = affinity
    if out_of_frame == 'mask':
        inside = torch.nn.functional.pad(torch.ones(4, 5), (1, 1, 1, 1)).unfold(0, 3, 1)
        logits = affinity.masked_fill(inside.unfold(1, 3, 1).flatten(-2) == 0, -torch.inf)
    context = (logits.softmax(-1).unsqueeze(-2) * values).sum(-1)
    out = context + module.motion_conv(affinity)
    out = module.proj(out.permute(0, 1, 3, 4, 2, 5).flatten(-2))
    torch.testing.assert_close(module(x)[:, :2], out)
    field = module.motion_field(x, head=1)
    assert field.displacement.shape == (2, 2, 4, 5, 2) and field.confidence.shape == (2, 2, 4, 5)


def test_a_single_frame_has_no_affinity():
    with pytest.raises(ValueError, match='T of 2 or more'):
        EMIMAttention(8, 2).affinity(torch.zeros(1, 1, 4, 4, 8))
