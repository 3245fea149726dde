import numpy as np
import pytest
import torch
from torch import nn

from mmaction_emim.models.motion import MotionAwareAttention


def by_the_formulas(x, module):
    """FACTS of the paper in numpy float64, frame by frame, in the authors' (B, T, C, H, W)."""
    p = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    out = np.zeros_like(x)
    for n in range(len(x)):
        T, C, H, W = x[n].shape
        z = np.einsum('oc,tchw->tohw', p['conv_down.weight'], x[n])
        z = z + p['conv_down.bias'][:, None, None]
        u = z.reshape(T, -1)
        u = (u - u.mean(1, keepdims=True)) / np.sqrt(u.var(1, keepdims=True) + 1e-5)
        m = np.concatenate([u[1:], np.zeros_like(u[:1])]) - u
        a = m @ m.T / np.sqrt(m.shape[1])
        a = np.exp(a - a.max(1, keepdims=True))
        s = ((a / a.sum(1, keepdims=True)) @ m).reshape(z.shape) + z
        gate = np.einsum('oc,tchw->tohw', p['conv_up.weight'], s) + p['conv_up.bias'][:, None, None]
        out[n] = x[n] + x[n] / (1 + np.exp(-gate))
    return out


@pytest.mark.parametrize('T', [2, 5])
def test_equals_the_formulas(T):
    torch.manual_seed(0)
    module = MotionAwareAttention(16).double()
    x = torch.randn(2, T, 3, 5, 16, dtype=torch.float64)
    want = by_the_formulas(x.permute(0, 1, 4, 2, 3).numpy(), module)
    got = module(x).permute(0, 1, 4, 2, 3).detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


def test_the_authors_names_and_4d_weights_load():
    theirs = nn.ModuleDict({'conv_down': nn.Conv2d(16, 2, 1), 'conv_up': nn.Conv2d(2, 16, 1)})
    ours = MotionAwareAttention(16)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 16, 4, 4)
    torch.testing.assert_close(
        ours.conv_down(x.permute(0, 2, 3, 1)), theirs['conv_down'](x).permute(0, 2, 3, 1)
    )


def test_parameters_added_are_the_papers():
    # ResNet-18: two blocks at 64, then 64, 128, 128, 256, 256, 512 channels.
    dims = [64, 64, 64, 128, 128, 256, 256, 512]
    added = sum(p.numel() for dim in dims for p in MotionAwareAttention(dim).parameters())
    assert round(added / 1e6, 3) == 0.111


def test_start_as_identity():
    module = MotionAwareAttention(16)
    module.start_as_identity()
    x = torch.randn(1, 3, 2, 2, 16)
    assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.layer_scale.grad.abs().sum() > 0


def test_wrong_arguments():
    with pytest.raises(ValueError, match='reduction must divide dim=10, got 8'):
        MotionAwareAttention(10)


def test_the_attention_is_the_one_that_forward_uses():
    torch.manual_seed(0)
    module = MotionAwareAttention(16).double()
    x = torch.randn(2, 4, 3, 5, 16, dtype=torch.float64)
    attention = module.attention(x)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 4, dtype=torch.float64))
    z = module.conv_down(x)
    u = nn.functional.layer_norm(z.flatten(2), (z[0, 0].numel(),))
    m = torch.cat([u[:, 1:], torch.zeros_like(u[:, :1])], dim=1) - u
    s = (attention @ m).view(z.shape)
    torch.testing.assert_close(module(x), x + x * torch.sigmoid(module.conv_up(s + z)))
