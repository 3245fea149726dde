"""The public functions: every backend against the definition, and what they refuse."""

import pytest
import torch

from mmaction_emim import ops

# N, heads, H, W, d, window: H != W, grids below the window, one row, tiles with a remainder
SHAPES = [
    (3, 2, 5, 9, 4, 3),
    (1, 2, 2, 3, 5, 7),
    (3, 1, 1, 4, 3, 5),
    (2, 3, 7, 7, 8, 7),
    (1, 2, 23, 31, 6, 5),
    (1, 1, 40, 15, 3, 11),
]

# B, T, heads, H, W, d, window
PACKED_SHAPES = [(3, 2, 2, 5, 9, 4, 3), (2, 4, 1, 2, 3, 5, 7), (1, 3, 2, 23, 31, 6, 5)]

BACKENDS = ['dense', 'tiled']  # in float64; 'triton' has its own tests
WITH_REFERENCE = ['dense', 'reference']


def inputs(N, heads, H, W, d, window, dtype=torch.float64):
    torch.manual_seed(0)
    q, k, v = (torch.randn(N, heads, H, W, d, dtype=dtype, requires_grad=True) for _ in range(3))
    return q, k, v, torch.randn(heads, window, window, dtype=dtype, requires_grad=True)


def values_and_gradients(backend, shape, out_of_frame):
    arguments = inputs(*shape)
    outputs = ops.local_attention(*arguments, shape[-1], out_of_frame=out_of_frame, backend=backend)
    torch.manual_seed(1)
    loss = sum((torch.randn_like(x) * x).sum() for x in outputs)  # through both outputs
    return *outputs, *torch.autograd.grad(loss, arguments)


@pytest.mark.parametrize('out_of_frame', ops.OUT_OF_FRAME)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('backend', BACKENDS)
def test_backend_agrees_with_reference(backend, shape, out_of_frame):
    expected = values_and_gradients('reference', shape, out_of_frame)
    for got, want in zip(values_and_gradients(backend, shape, out_of_frame), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)  # float64: sum order only


def packed_inputs(B, T, heads, H, W, d, window, dtype=torch.float64):
    torch.manual_seed(0)
    hidden = 4 * window * window
    shapes = [(B, T, H, W, 3, heads, d), (heads, window, window)]
    shapes += [(hidden, window * window), (hidden,), (d, hidden), (d,)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def motion_values_and_gradients(backend, shape, out_of_frame):
    qkv, bias, *mlp = arguments = packed_inputs(*shape)
    out = ops.motion_attention(
        qkv,
        bias,
        shape[-1],
        ops.MLP(*mlp),
        scale=0.3,
        out_of_frame=out_of_frame,
        backend=backend,
    )
    torch.manual_seed(1)
    loss = (torch.randn(out.shape, dtype=out.dtype) * out).sum()
    return out, *torch.autograd.grad(loss, arguments)


@pytest.mark.parametrize('out_of_frame', ops.OUT_OF_FRAME)
@pytest.mark.parametrize('shape', PACKED_SHAPES, ids=str)
@pytest.mark.parametrize('backend', BACKENDS)
def test_motion_attention_agrees_with_reference(backend, shape, out_of_frame):
    expected = motion_values_and_gradients('reference', shape, out_of_frame)
    got = motion_values_and_gradients(backend, shape, out_of_frame)
    for x, want in zip(got, expected, strict=True):
        torch.testing.assert_close(x, want, rtol=1e-10, atol=1e-10)


def test_chunks_of_a_large_input_agree_with_reference():
    shape = (21, 5, 14, 14, 2, 7)  # 21 pairs do not divide into chunks of 5
    expected = values_and_gradients('reference', shape, 'pad')
    for got, want in zip(values_and_gradients('dense', shape, 'pad'), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_tiles_kept_from_inference_serve_training():
    shape = (2, 1, 9, 16, 3, 5)  # of no other test: tiles are kept by size
    with torch.inference_mode():
        ops.local_attention(*inputs(*shape), 5)
    assert all(x.isfinite().all() for x in values_and_gradients('dense', shape, 'mask'))


@pytest.mark.parametrize('out_of_frame', ops.OUT_OF_FRAME)
@pytest.mark.parametrize('backend', WITH_REFERENCE)
def test_gradcheck(backend, out_of_frame):
    arguments = inputs(2, 1, 3, 4, 2, 3)

    def f(*arguments):
        return ops.local_attention(*arguments, 3, out_of_frame=out_of_frame, backend=backend)

    assert torch.autograd.gradcheck(f, arguments)


@pytest.mark.parametrize('window', [3, 5, 7, 9, 11])
@pytest.mark.parametrize('backend', WITH_REFERENCE)
def test_affinity_by_hand(backend, window):
    q, k, _, bias = inputs(2, 2, 4, 6, 3, window)
    r = window // 2
    affinity = ops.cost_volume(q, k, bias, window, backend=backend)
    for y, x, a, b in [(0, 0, 0, 0), (0, 5, r, r), (3, 2, window - 1, 0), (1, 4, r - 1, r + 1)]:
        ky, kx = y + a - r, x + b - r
        inside = 0 <= ky < 4 and 0 <= kx < 6
        key = k[:, :, ky, kx] if inside else torch.full_like(k[:, :, 0, 0], 1e-6)
        want = (q[:, :, y, x] * key).sum(-1) + bias[:, a, b]
        torch.testing.assert_close(affinity[:, :, y, x, a * window + b], want)


@pytest.mark.parametrize('backend', WITH_REFERENCE)
def test_mask_takes_no_mass_outside(backend):
    q, k, v, bias = inputs(1, 1, 3, 3, 2, 5)
    context, _ = ops.local_attention(
        q, k, torch.ones_like(v), bias, 5, out_of_frame='mask', backend=backend
    )
    torch.testing.assert_close(context, torch.ones_like(v))
    context, _ = ops.local_attention(q, k, torch.ones_like(v), bias, 5, backend=backend)
    assert (context < 1).all()  # 'pad' gives mass to keys of value 1e-6


@pytest.mark.parametrize('autocast', [False, True])
def test_half_precision_keeps_affinity_in_float32(autocast):
    q, k, v, bias = inputs(1, 2, 6, 6, 8, 3, torch.float32)
    exact, _ = ops.local_attention(q, k, v, bias, 3)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        context, affinity = ops.local_attention(*(x.bfloat16() for x in (q, k, v)), bias, 3)
    assert (context.dtype, affinity.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(context.float(), exact, rtol=0.05, atol=0.05)  # bfloat16 inputs


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(window=4), 'window must be an odd integer of 3 or more, got 4'),
        (dict(window=1), 'window must be an odd integer'),
        (dict(out_of_frame='clip'), "out_of_frame: got 'clip'"),
        (dict(backend='cuda'), "backend: got 'cuda'; accepted are"),
        (dict(backend='triton'), "backend: 'triton' (takes|needs|runs on)"),
        (dict(q=torch.zeros(1, 2, 3, 4)), 'q must be'),
        (dict(k=torch.zeros(1, 2, 3, 4, 9)), 'k must have the shape of q'),
        (dict(bias=torch.zeros(2, 5, 5)), 'bias must be'),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else '',
)
def test_refusals(change, message):
    q, k, v, bias = inputs(1, 2, 3, 4, 5, 3)
    arguments = {**dict(q=q, k=k, v=v, bias=bias, window=3), **change}
    with pytest.raises(ValueError, match=message):
        ops.local_attention(**arguments)
