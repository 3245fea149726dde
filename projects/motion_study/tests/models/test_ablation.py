import numpy as np
import pytest
import torch

from mmaction_emim.models.motion import EMIMAttention
from projects.motion_study.models import EMIMAblation


def randomized(module):
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data.normal_(generator=generator)
    return module.double()


def video(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def by_hand(
    x,
    module,
    branches='both',
    motion_from='raw',
    keys='sliding',
    position_bias=True,
    frame_step=1,
    out_of_frame='pad',
):
    """One token at a time, in numpy; what each option means."""
    p = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    heads, w = p['rpb'].shape[:2]
    B, T, H, W, C = x.shape
    d, r = C // heads, w // 2
    qkv = (x @ p['qkv.weight'].T + p['qkv.bias']).reshape(B, T, H, W, 3, heads, d)
    out = np.zeros_like(x)
    for n, t, y, z, h in np.ndindex(B, T, H, W, heads):
        t_query = min(t, T - 1 - frame_step)
        q = qkv[n, t_query, y, z, 0, h] * d**-0.5
        first = (y - r, z - r) if keys == 'sliding' else (y // w * w, z // w * w)
        affinity, values, inside = np.zeros(w * w), np.zeros((w * w, d)), np.zeros(w * w, bool)
        for i, (a, b) in enumerate(np.ndindex(w, w)):
            ky, kx = first[0] + a, first[1] + b
            inside[i] = 0 <= ky < H and 0 <= kx < W
            k = values[i] = 1e-6
            if inside[i]:
                _, k, values[i] = qkv[n, t_query + frame_step, ky, kx, :, h]
            affinity[i] = (q * k).sum() + position_bias * p['rpb'][h, a, b]
        masked = out_of_frame == 'mask'
        weight = softmax(np.where(inside | (not masked), affinity, -np.inf))
        read = weight if motion_from == 'softmax' else np.where(inside | (not masked), affinity, 0)
        hidden = p['motion_conv.0.weight'] @ read + p['motion_conv.0.bias']
        hidden = hidden / (1 + np.exp(-1.702 * hidden))
        motion = p['motion_conv.2.weight'] @ hidden + p['motion_conv.2.bias']
        token = (branches != 'motion') * (weight @ values) + (branches != 'context') * motion
        out[n, t, y, z, h * d : (h + 1) * d] = token
    return out @ p['proj.weight'].T + p['proj.bias']


OPTIONS = [
    {},
    dict(branches='context'),
    dict(branches='motion'),
    dict(motion_from='softmax'),
    dict(motion_from='softmax', out_of_frame='mask'),
    dict(keys='fixed'),
    dict(keys='fixed', out_of_frame='mask'),
    dict(keys='fixed', out_of_frame='mask', motion_from='softmax'),
    dict(position_bias=False),
    dict(frame_step=0),
    dict(frame_step=2),
]


@pytest.mark.parametrize('options', OPTIONS, ids=str)
@pytest.mark.parametrize('shape', [(2, 3, 4, 5, 6), (1, 4, 2, 7, 6)], ids=str)
def test_equals_the_definition(options, shape):
    module = randomized(EMIMAblation(6, 2, window=3, **options))
    x = video(*shape)
    want = by_hand(x.numpy(), module, **options)
    np.testing.assert_allclose(module(x).detach().numpy(), want, rtol=1e-9, atol=1e-9)
    if options:
        assert np.abs(want - by_hand(x.numpy(), module)).max() > 1e-3


@pytest.mark.parametrize('out_of_frame', ['pad', 'mask'])
def test_with_defaults_it_is_emim(out_of_frame):
    torch.manual_seed(0)
    emim = EMIMAttention(64, 2, out_of_frame=out_of_frame)
    module = EMIMAblation(64, 2, out_of_frame=out_of_frame)
    torch.nn.init.normal_(emim.motion_conv[2].weight, std=0.1)
    module.load_state_dict(emim.state_dict())
    x = torch.randn(2, 4, 8, 6, 64)
    assert (module(x) - emim(x)).abs().max() < 1e-6
    assert module.idle_parameters == 0


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_parameters_without_gradient_are_those_told(options):
    module = randomized(EMIMAblation(8, 2, window=3, **options))
    module(video(1, 4, 4, 5, 8)).square().sum().backward()
    grads = {n: p.grad for n, p in module.named_parameters()}
    idle = sum(p.numel() for n, p in module.named_parameters() if grads[n] is None)
    values = grads.pop('qkv.weight')[16:], grads.pop('qkv.bias')[16:]
    idle += sum(grad.numel() for grad in values if not grad.any())
    assert idle == module.idle_parameters
    for name, grad in grads.items():
        assert grad is None or grad.any(), name


def test_starts_with_or_without_motion():
    assert not EMIMAblation(8, 2).motion_conv[2].weight.any()
    assert EMIMAblation(8, 2, zero_init=False).motion_conv[2].weight.any()
    q, k, _ = EMIMAblation(8, 2, match_init=True).qkv.weight.chunk(3)
    assert torch.equal(q, k)


@pytest.mark.parametrize('keys', ['sliding', 'fixed'])
def test_a_network_in_half_precision(keys):
    module = EMIMAblation(8, 2, window=3, keys=keys).bfloat16()
    out = module(torch.randn(1, 3, 4, 4, 8).bfloat16())
    assert out.dtype == torch.bfloat16 and out.isfinite().all()


@pytest.mark.parametrize(
    'change', [dict(branches='x'), dict(motion_from=1), dict(keys='x'), dict(frame_step=3)], ids=str
)
def test_refuses_bad_arguments(change):
    with pytest.raises(ValueError, match=f'{next(iter(change))}: got'):
        EMIMAblation(8, 2, **change)


def test_needs_a_frame_to_pair_with():
    x = torch.zeros(1, 2, 3, 3, 8)
    assert EMIMAblation(8, 2, frame_step=0)(x[:, :1]).shape == (1, 1, 3, 3, 8)
    with pytest.raises(ValueError, match='T of 3 or more'):
        EMIMAblation(8, 2, frame_step=2)(x)
