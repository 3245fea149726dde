"""The Triton kernels against the definition. Started by test_triton.py, or by hand:

TRITON_INTERPRET=1 python -m pytest tests/ops/triton_cases.py    # no variable on a GPU
"""

import subprocess
import sys

import pytest
import torch

from mmaction_emim import ops
from mmaction_emim.ops import registration

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# Of the largest value. Half precision: operands are rounded to u = 2^-11 (2^-8; the interpreter
# cuts off: 2^-7), a few times on the way. float32: sums of some hundred terms.
TOLERANCE = {torch.float32: 2e-5, torch.float16: 8 * 2**-11, torch.bfloat16: 8 * 2**-8}

# N, heads, H, W, d, window: H != W, grids below the window, one row, tiles with a remainder
SHAPES = [
    (1, 2, 5, 9, 16, 3),
    (3, 1, 2, 3, 24, 7),
    (1, 1, 1, 4, 64, 5),
    (1, 2, 13, 6, 32, 5),
    (1, 1, 4, 5, 128, 11),
]
# B, T, heads, H, W, d, window, hidden
PACKED_SHAPES = [
    (3, 2, 2, 5, 9, 16, 3, 20),
    (2, 4, 1, 2, 3, 24, 7, 50),
    (1, 2, 2, 9, 11, 64, 5, 36),
]
SMALL = (1, 3, 2, 3, 4, 16, 3, 20)
EVERY_SIZE = [
    (1, 2, 1, 7, 9, d, window, 2 * window * window)
    for d in (16, 24, 64, 128)
    for window in (3, 5, 7, 9, 11)
]
AS_IN_THE_MODELS = [(1, 2, 2, 14, 14, 64, 7, 196), (1, 2, 1, 7, 7, 64, 7, 196)]

each_side = pytest.mark.parametrize('out_of_frame', ops.OUT_OF_FRAME)
each_dtype = pytest.mark.parametrize('dtype', TOLERANCE, ids=str)


@pytest.fixture(autouse=True)
def poison():
    """All memory that is not initialised, outputs and temporaries, is NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(3, device=DEVICE).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def assert_same(got, exact, dtype):
    for i, (x, want) in enumerate(zip(got, exact, strict=True)):
        error, size = (x.double() - want).abs().max().item(), want.abs().max().item()
        assert error <= TOLERANCE[dtype] * size, f'output {i}: {error:.1e} of {size:.1e}'


def double(tensors):
    return [x.detach().double().requires_grad_() for x in tensors]


def noise(x):
    """What ``x`` is weighed with in a loss."""
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x.device, x.dtype)


def inputs(N, heads, H, W, d, window, dtype):
    """q, k and v with strides of their own: packed, transposed, cut out of more channels."""
    torch.manual_seed(0)
    q = torch.randn(N, H, W, 2, heads, d, device=DEVICE).mul(d**-0.5).to(dtype)
    q = q[:, :, :, 1].permute(0, 3, 1, 2, 4)
    k = torch.randn(N, heads, d, W, H, device=DEVICE).to(dtype).permute(0, 1, 4, 3, 2)
    v = torch.randn(N, heads, H, W, d + 3, device=DEVICE).to(dtype)[..., :d]
    assert len({x.stride() for x in (q, k, v)}) == 3
    return q, k, v, torch.randn(heads, window, window, device=DEVICE)


def values_and_gradients(tensors, through, **options):
    outputs = ops.local_attention(*tensors, tensors[3].shape[-1], **options)
    loss = sum((noise(outputs[i]) * outputs[i]).sum() for i in through)
    return *outputs, *torch.autograd.grad(loss, tensors, materialize_grads=True)


def check_local_attention(shape, dtype, out_of_frame, through=(0, 1), factors=(1, 1, 1, 1)):
    tensors = inputs(*shape, dtype)
    tensors = [x.mul_(by).requires_grad_() for x, by in zip(tensors, factors, strict=True)]
    got = values_and_gradients(tensors, through, out_of_frame=out_of_frame, backend='triton')
    options = dict(out_of_frame=out_of_frame, backend='reference')
    assert_same(got, values_and_gradients(double(tensors), through, **options), dtype)


@each_side
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_agrees_with_reference(shape, out_of_frame):
    check_local_attention(shape, torch.float32, out_of_frame)


@each_side
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype, out_of_frame):
    check_local_attention((1, 1, 11, 6, 32, 5), dtype, out_of_frame)


@pytest.mark.parametrize('through', [0, 1], ids=['context', 'affinity'])
def test_gradient_through_one_output(through):
    check_local_attention(SHAPES[0], torch.float32, 'pad', [through])


def test_keys_and_values_outside_are_1e_6():
    # as large as those inside, so that leaving them out anywhere shows
    factors = 1e6, 1e-6, 1e-6, 1
    for through in 0, 1:
        check_local_attention(SHAPES[0], torch.float32, 'pad', [through], factors)


def test_cost_volume():
    q, k, _, bias = tensors = [x.requires_grad_() for x in inputs(*SHAPES[0], torch.float32)]
    got = ops.cost_volume(q, k, bias, 3, backend='triton')
    got = got, *torch.autograd.grad((noise(got) * got).sum(), [q, k, bias])
    q, k, _, bias = double(tensors)
    exact = ops.cost_volume(q, k, bias, 3, backend='reference')
    exact = exact, *torch.autograd.grad((noise(exact) * exact).sum(), [q, k, bias])
    assert_same(got, exact, torch.float32)


def packed_inputs(B, T, heads, H, W, d, window, hidden, dtype):
    torch.manual_seed(0)
    shapes = [(B, T, H, W, 3, heads, d), (heads, window, window)]
    shapes += [(hidden, window * window), (hidden,), (d, hidden), (d,)]
    qkv, bias, w1, b1, w2, b2 = (torch.randn(shape, device=DEVICE) for shape in shapes)
    w1, w2 = w1 / window, w2 / hidden**0.5
    return [x.requires_grad_() for x in (qkv.to(dtype), bias, w1, b1, w2, b2)]


def motion_values_and_gradients(tensors, out_of_frame, backend):
    qkv, bias, *mlp = tensors
    options = dict(scale=qkv.shape[-1] ** -0.5, out_of_frame=out_of_frame, backend=backend)
    out = ops.motion_attention(qkv, bias, bias.shape[-1], ops.MLP(*mlp), **options)
    return out, *torch.autograd.grad((noise(out) * out).sum(), tensors)


def check_motion_attention(shape, dtype, out_of_frame):
    tensors = packed_inputs(*shape, dtype)
    got = motion_values_and_gradients(tensors, out_of_frame, 'triton')
    exact = motion_values_and_gradients(double(tensors), out_of_frame, 'reference')
    assert_same(got, exact, dtype)


@each_side
@pytest.mark.parametrize('shape', PACKED_SHAPES, ids=str)
def test_motion_attention(shape, out_of_frame):
    check_motion_attention(shape, torch.float32, out_of_frame)


@each_side
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_motion_attention_in_half_precision(dtype, out_of_frame):
    check_motion_attention((1, 2, 1, 5, 9, 16, 5, 40), dtype, out_of_frame)


@pytest.mark.slow
@each_side
@each_dtype
@pytest.mark.parametrize('shape', [*EVERY_SIZE, *AS_IN_THE_MODELS], ids=str)
def test_every_size(shape, dtype, out_of_frame):
    check_motion_attention(shape, dtype, out_of_frame)


def test_results_do_not_vary():
    tensors = packed_inputs(*SMALL, torch.float32)
    first, second = (motion_values_and_gradients(tensors, 'pad', 'triton') for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_only_the_inputs_are_kept_for_the_backward():
    tensors = packed_inputs(*SMALL, torch.float32)
    kept = set()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: kept.add(x.untyped_storage().data_ptr() if x.numel() else None), id
    ):
        ops.motion_attention(tensors[0], tensors[1], 3, ops.MLP(*tensors[2:]), backend='triton')
    assert kept - {None} == {x.untyped_storage().data_ptr() for x in tensors}


def test_compiles_without_a_graph_break():
    tensors = packed_inputs(*SMALL, torch.float32)

    def run(*tensors):
        qkv, bias, *mlp = tensors
        return ops.motion_attention(qkv, bias, 3, ops.MLP(*mlp), backend='triton')

    compiled = torch.compile(run, backend='aot_eager', fullgraph=True)
    got, expected = compiled(*tensors), run(*tensors)
    assert torch.equal(got, expected)
    grads = (torch.autograd.grad(x.square().sum(), tensors) for x in (got, expected))
    assert all(torch.equal(x, y) for x, y in zip(*grads, strict=True))


def test_is_an_operator_in_the_sense_of_torch():
    tensors = packed_inputs(*SMALL, torch.float32)
    torch.library.opcheck(registration.motion_attention, (*tensors, 1.0, False, False, 'triton'))


@pytest.mark.parametrize(
    'd, window, dtype, message',
    [
        (160, 3, torch.float32, 'heads of up to 128 channels and windows up to 11, got 160 and 3'),
        (16, 13, torch.float32, 'windows up to 11, got 16 and 13'),
        (16, 3, torch.float64, "'triton' takes float16, bfloat16 and float32, got torch.float64"),
    ],
    ids=['d', 'window', 'dtype'],
)
def test_what_it_does_not_serve(d, window, dtype, message):
    q = torch.randn(1, 1, 2, 2, d, dtype=dtype, device=DEVICE)
    bias = torch.zeros(1, window, window, dtype=dtype, device=DEVICE)
    with pytest.raises(ValueError, match=message):
        ops.cost_volume(q, q, bias, window, backend='triton')
    ops.cost_volume(q, q, bias, window)  # 'auto' takes another


NO_TRITON = """
import sys
sys.modules['triton'] = None
import torch
from mmaction_emim import ops
q = torch.randn(1, 1, 4, 4, 16)
ops.cost_volume(q, q, torch.zeros(1, 3, 3), 3)
try:
    ops.cost_volume(q, q, torch.zeros(1, 3, 3), 3, backend='triton')
except ValueError as error:
    print(error)
"""


def run_python(code):
    """With no fixture, so that a GPU's machine needs pytest alone."""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)


def test_refusal_where_triton_is_not_installed():
    done = run_python(NO_TRITON)
    assert "backend: 'triton' needs the package triton, which" in done.stdout, done.stderr


OLD_TRITON = """
import torch
from importlib import metadata
metadata.version = lambda name: '3.4.0'
from mmaction_emim.ops import triton
print(triton.refusal(torch.device('cpu'), torch.float32, 16, 3))
"""


def test_refusal_of_an_old_triton():
    done = run_python(OLD_TRITON)
    assert done.stdout == (
        'needs Triton 3.5 or later, which torch 2.9 or later brings, got 3.4.0\n'
    ), done.stderr


def test_spatial_correlation():
    torch.manual_seed(0)
    tensors = [torch.randn(1, 8, 5, 6, device=DEVICE).requires_grad_() for _ in range(2)]
    found = []
    for backend, maps in ('triton', tensors), ('reference', double(tensors)):
        options = dict(patch_size=3, padding=1, dilation_patch=2, backend=backend)
        out = ops.spatial_correlation_sample(*maps, **options)
        found.append((out, *torch.autograd.grad((noise(out) * out).sum(), maps)))
    assert_same(*found, torch.float32)
