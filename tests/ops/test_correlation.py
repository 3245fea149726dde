"""spatial_correlation_sample against its formula, in numpy and float64, and the extension."""

import numpy as np
import pytest
import torch

from mmaction_emim import ops

CASES = [  # B, C, H, W, then the arguments
    ((2, 3, 5, 7), dict(patch_size=3)),
    ((2, 3, 5, 7), dict(patch_size=5, padding=1)),
    ((2, 2, 3, 70), dict(patch_size=(2, 5), dilation_patch=(2, 1))),  # three blocks of a row
    ((1, 2, 2, 3), dict(patch_size=17)),
    ((1, 4, 7, 6), dict(patch_size=5, dilation_patch=2)),  # FlowNetC's kind
    ((1, 2, 5, 8), dict(patch_size=3, dilation_patch=3, padding=(2, 0))),
    ((1, 2, 3, 4), dict(patch_size=7)),  # beyond the frame
    ((1, 2, 6, 7), dict(patch_size=(1, 5), dilation_patch=(1, 2))),  # stereo
    ((1, 2, 6, 7), dict(patch_size=4)),  # even
    ((2, 2, 6, 7), dict()),
    ((2, 2, 6, 7), dict(patch_size=3, stride=2, padding=1)),
    ((1, 2, 7, 8), dict(kernel_size=3, patch_size=3, stride=2, padding=1, dilation=2)),
    ((1, 2, 6, 7), dict(kernel_size=(3, 1), patch_size=3, stride=(1, 2), padding=(0, 1))),
    ((1, 2, 8, 7), dict(kernel_size=2, patch_size=2, dilation=(1, 3), dilation_patch=2)),
]
every_case = pytest.mark.parametrize('shape, options', CASES, ids=str)


def definition(
    a, b, kernel_size=1, patch_size=1, stride=1, padding=0, dilation=1, dilation_patch=1
):
    """The module's formula: numpy, one product a tap, 0 outside the frame."""
    pairs = (kernel_size, patch_size, stride, padding, dilation, dilation_patch)
    kernel, patch, stride, pad, dilation, step = (
        (x, x) if isinstance(x, int) else x for x in pairs
    )
    B, _, H, W = a.shape
    size = [
        (side + 2 * pad[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i, side in enumerate((H, W))
    ]
    out = np.zeros((B, *patch, *size))
    for i, j, y, x in np.ndindex(*patch, *size):
        for u, v in np.ndindex(*kernel):
            y1 = y * stride[0] - pad[0] + u * dilation[0]
            x1 = x * stride[1] - pad[1] + v * dilation[1]
            y2 = y1 + (i - (patch[0] - 1) // 2) * step[0]
            x2 = x1 + (j - (patch[1] - 1) // 2) * step[1]
            if 0 <= y1 < H and 0 <= x1 < W and 0 <= y2 < H and 0 <= x2 < W:
                out[:, i, j, y, x] += (a[:, :, y1, x1] * b[:, :, y2, x2]).sum(1)
    return out


def maps(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for _ in range(2)]


@every_case
@pytest.mark.parametrize('backend', ['auto', 'reference'])
def test_values_and_gradients(shape, options, backend):
    a, b = maps(shape)
    out = ops.spatial_correlation_sample(a, b, **options, backend=backend)
    n = [x.detach().numpy() for x in (a, b)]
    np.testing.assert_allclose(out.detach().numpy(), definition(*n, **options), atol=1e-12)
    assert out.is_contiguous()
    # The map is linear in each input: <gradient, u> is <g, definition with u in its place>.
    rng = np.random.default_rng(1)
    g = rng.standard_normal(out.shape)
    grads = [x.numpy() for x in torch.autograd.grad(out, (a, b), torch.from_numpy(g))]
    for _ in range(3):
        u = rng.standard_normal(shape)
        for i, at_u in enumerate([(u, n[1]), (n[0], u)]):
            expected = (g * definition(*at_u, **options)).sum()
            np.testing.assert_allclose((grads[i] * u).sum(), expected, atol=1e-10)


@every_case
def test_it_is_the_extension(shape, options):
    """Where it is installed; its defaults, too, since the options leave most of them out."""
    extension = pytest.importorskip('spatial_correlation_sampler')
    ours, theirs = maps(shape), maps(shape)
    out = ops.SpatialCorrelationSampler(**options)(*ours)
    expected = extension.SpatialCorrelationSampler(**options)(*theirs)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    g = torch.randn_like(out)
    for got, want in zip(
        torch.autograd.grad(out, ours, g), torch.autograd.grad(expected, theirs, g), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('options', [dict(patch_size=5), dict(patch_size=4), dict(kernel_size=3)])
@pytest.mark.parametrize('autocast', [False, True])
def test_half_precision_sums_in_float32(options, autocast):
    a, b = maps((1, 64, 6, 6), torch.bfloat16)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        out = ops.spatial_correlation_sample(a, b, **options)
    exact = ops.spatial_correlation_sample(a.double(), b.double(), **options)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), exact, rtol=2**-8, atol=1e-4)  # one rounding


@pytest.mark.parametrize('patch_size', [3, 17])
def test_compiled_it_computes_the_same(patch_size):
    a, b = maps((1, 3, 5, 6), torch.float32)
    sampler = ops.SpatialCorrelationSampler(patch_size=patch_size, dilation_patch=2)
    compiled = torch.compile(sampler, backend='aot_eager', fullgraph=True)
    out, expected = compiled(a, b), sampler(a, b)
    torch.testing.assert_close(out, expected)
    g = torch.randn_like(out)
    grads = (torch.autograd.grad(each, (a, b), g) for each in (out, expected))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('patch_size', [1, 3, 17])
def test_no_maps_at_all(patch_size):
    a, b = maps((0, 2, 4, 5))
    out = ops.spatial_correlation_sample(a, b, patch_size=patch_size)
    assert out.shape == (0, patch_size, patch_size, 4, 5)
    out.sum().backward()
    assert a.grad.shape == b.grad.shape == a.shape


@pytest.mark.parametrize('patch_size', [3, 17])
def test_second_order_gradients_are_refused_not_wrong(patch_size):
    a, b = maps((1, 2, 4, 5))
    out = ops.spatial_correlation_sample(a, b, patch_size=patch_size)
    (grad,) = torch.autograd.grad(out.square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(grad.sum(), b)
    out = ops.spatial_correlation_sample(a, b, patch_size=patch_size, backend='reference')
    (grad,) = torch.autograd.grad(out.square().sum(), a, create_graph=True)
    assert torch.autograd.grad(grad.sum(), b)[0].any()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(kernel_size=0), 'kernel_size must be an int of 1 or more, or two, got 0'),
        (dict(patch_size=(3, 3, 3)), r'patch_size must be .* got \(3, 3, 3\)'),
        (dict(stride=1.5), 'stride must be'),
        (dict(padding=-1), 'padding must be an int of 0 or more, or two, got -1'),
        (dict(kernel_size=3, dilation=3), r'kernel_size: \(3, 3\) .* larger than the padded frame'),
        (dict(backend='cuda'), "backend: got 'cuda'; accepted are"),
        (dict(patch_size=4, backend='dense'), r"'dense' takes patches of one odd side .*\(4, 4\)"),
        (dict(patch_size=3, stride=2, backend='dense'), "'dense' takes a stride of 1"),
        (dict(patch_size=3, backend='tiled'), "'tiled' serves attention alone; use auto"),
        (dict(patch_size=3, dilation_patch=(1, 2), backend='triton'), "'triton' takes one step"),
        (dict(input1=torch.zeros(2, 6, 6)), r'input1 must be \(B, C, H, W\)'),
        (dict(input1=torch.zeros(1, 2, 6, 6, dtype=torch.int)), 'floating point, .* torch.int32'),
        (dict(input2=torch.zeros(1, 3, 6, 6)), 'input2 must have the shape and dtype of input1'),
        (dict(input2=torch.zeros(1, 2, 6, 6).half()), 'input2 .* got .* torch.float16'),
    ],
    ids=lambda x: '-'.join(x) if isinstance(x, dict) else '',
)
def test_refusals(options, message):
    inputs = dict(input1=torch.zeros(1, 2, 6, 6), input2=torch.zeros(1, 2, 6, 6))
    with pytest.raises(ValueError, match=message):
        ops.spatial_correlation_sample(**{**inputs, **options})
