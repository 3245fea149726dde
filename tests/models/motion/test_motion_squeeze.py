"""MotionSqueeze's formula, in numpy and float64, and what it sees."""

import numpy as np
import pytest
import torch

from mmaction_emim.models.motion import MotionSqueeze


def relu(x):
    return np.maximum(x, 0)


def weights(layer):
    return [p.detach().numpy() for p in layer.parameters()]


def displacements(module, x):
    """(T, H, W, C) -> displacement in tokens and confidence, token by token."""
    T, H, W, _ = x.shape
    weight, bias = weights(module.match)
    z = relu(x @ weight.T + bias)
    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-6)
    r = module.window // 2
    field = np.zeros((T - 1, H, W, 3))
    offsets = [(dx, dy) for dy in range(-r, r + 1) for dx in range(-r, r + 1)]
    for t, h, w in np.ndindex(T - 1, H, W):
        s = np.zeros(len(offsets))
        for i, (dx, dy) in enumerate(offsets):
            if 0 <= h + dy < H and 0 <= w + dx < W:
                s[i] = relu(z[t, h, w] @ z[t + 1, h + dy, w + dx])
        best = np.array(offsets[s.argmax()])
        g = np.exp(-((np.array(offsets) - best) ** 2).sum(1) / (2 * module.sigma**2))
        e = np.exp(g * s / module.temperature)
        field[t, h, w] = [*(e / e.sum()) @ np.array(offsets), s.max()]
    return field[..., :2], field[..., 2]


def depthwise_separable(x, layers, last):
    """(H, W, C) -> (H, W, channels), one after the other."""
    depthwise, pointwise = layers
    kernel, bias = weights(depthwise)
    r = kernel.shape[-1] // 2
    padded = np.pad(x, ((r, r), (r, r), (0, 0)))
    out = np.zeros_like(x)
    for i, j in np.ndindex(kernel.shape[2:]):
        out += padded[i : i + x.shape[0], j : j + x.shape[1]] * kernel[:, 0, i, j]
    kernel, bias2 = weights(pointwise)
    out = (out + bias) @ kernel[:, :, 0, 0].T + bias2
    return out if last else relu(out)


def definition(module, x):
    displacement, confidence = displacements(module, x)
    frames = np.concatenate([displacement / (module.window // 2), confidence[..., None]], -1)
    convolutions = [layer for layer in module.conv if isinstance(layer, torch.nn.Conv2d)]
    out = []
    for frame in frames:
        for i in range(0, 8, 2):
            frame = depthwise_separable(frame, convolutions[i : i + 2], last=i == 6)
        out.append(frame)
    return np.stack([*out, out[-1]])


@pytest.mark.parametrize('window, temperature, sigma', [(3, 0.01, 5), (5, 0.3, 0.7)])
def test_formula(window, temperature, sigma):
    torch.manual_seed(0)
    module = MotionSqueeze(6, window, match_dim=5, temperature=temperature, sigma=sigma).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        out = module(x).numpy()
        field = module.motion_field(x)
    for clip in range(2):
        displacement, confidence = displacements(module, x[clip].numpy())
        np.testing.assert_allclose(field.displacement[clip].numpy(), displacement, atol=1e-10)
        np.testing.assert_allclose(field.confidence[clip].numpy(), confidence, atol=1e-10)
        np.testing.assert_allclose(out[clip], definition(module, x[clip].numpy()), atol=1e-10)


def test_a_moved_picture_is_seen_to_move():
    """x to the right and y down, in tokens; what comes in at the border has nothing to match."""
    torch.manual_seed(0)
    frame = torch.randn(12, 12, 32)
    x = torch.stack([frame, frame.roll((1, -2), dims=(0, 1))])[None]
    displacement, confidence = MotionSqueeze(32, window=7).motion_field(x)
    inner = displacement[0, 0, 3:-3, 3:-3]
    torch.testing.assert_close(inner, torch.tensor([-2.0, 1.0]).expand_as(inner), atol=0.3, rtol=0)
    assert (confidence[0, 0, 3:-3, 3:-3] > 0.999).all()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(window=4), 'MotionSqueeze: window must be an odd integer'),
        (dict(temperature=0), 'MotionSqueeze: temperature must be above 0, got 0'),
        (dict(sigma=-1), 'MotionSqueeze: sigma must be above 0, got -1'),
        (dict(match_dim=0), 'MotionSqueeze: match_dim must be above 0, got 0'),
        (dict(backend='cuda'), "backend: got 'cuda'"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else '',
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        MotionSqueeze(8, **options)


def test_exported_with_a_free_batch():
    torch.manual_seed(0)
    module = MotionSqueeze(8, window=3, backend='tiled').eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    batch = torch.export.Dim('batch', max=8)
    program = torch.export.export(
        module, (torch.randn(2, 3, 4, 4, 8),), dynamic_shapes=({0: batch},)
    )
    x = torch.randn(3, 3, 4, 4, 8)
    expected = module(x)
    torch.testing.assert_close(program.module()(x), expected)
    assert expected.std() > 0.01
