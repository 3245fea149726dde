"""Depthwise convolution: values and gradients against torch's, and where ours is used."""

import sys
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from mmaction_emim.ops import depthwise_conv3d
from mmaction_emim.ops.depthwise import HAS_BFLOAT16, LEAST, ON_X86, DepthwiseConv3d

each_dtype = pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
# The result is rounded. Without oneDNN's code torch's own backward adds up in bfloat16.
BFLOAT16_ERROR = 2**-8 if HAS_BFLOAT16 else 2**-4
FORMATS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last_3d}


def torchs(x, weight, bias, padding):
    return F.conv3d(x, weight, bias, padding=padding, groups=weight.shape[0])


def inputs(shape, kernel, dtype=torch.float64, memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    C = shape[1]
    x, weight, bias = torch.randn(shape), torch.randn(C, 1, *kernel), torch.randn(C)
    x, weight = (t.to(memory_format=memory_format) for t in (x, weight))
    return [t.to(dtype).requires_grad_() for t in (x, weight, bias)]


def output_and_gradients(function, tensors, padding):
    out = function(*tensors, padding)
    torch.manual_seed(1)
    noise = torch.randn(out.shape).to(out.dtype)
    return out, *torch.autograd.grad(out, tensors, noise)


def assert_same(got, exact, tolerance):
    for x, want in zip(got, exact, strict=True):
        assert (x.double() - want).abs().max() <= tolerance * want.abs().max()


@pytest.mark.parametrize(
    'kernel',
    [(3, 3, 3), (5, 5, 5), (1, 1, 1), (3, 1, 1), (2, 4, 4), (3, 5, 7), (1, 1, 6)],
    ids=str,
)
def test_agrees_with_torch_in_float64(kernel):
    paddings = [sorted({0, k // 2, k - 1}) for k in kernel]
    cases = 0
    for N, T, H, W, *padding in product((1, 3), (1, 4), (2, 5), (1, 6), *paddings):
        sizes = zip((T, H, W), padding, kernel, strict=True)
        if all(size + 2 * p >= k for size, p, k in sizes):
            tensors = inputs((N, 2, T, H, W), kernel)
            got, want = (
                output_and_gradients(function, tensors, tuple(padding))
                for function in (DepthwiseConv3d.apply, torchs)
            )
            assert_same(got, want, 1e-12)  # float64: order of sums
            cases += 1
    assert cases >= 16


@pytest.mark.parametrize('check', [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_gradcheck(check):
    tensors = inputs((2, 2, 3, 3, 4), (3, 3, 5))
    assert check(lambda *tensors: DepthwiseConv3d.apply(*tensors, (1, 1, 2)), tensors)


# The last clips are shorter than the kernel, where torch's bfloat16 gradient was seen wrong.
SIZES = [
    ((2, 16, 6, 16, 16), 3),
    ((1, 20, 8, 15, 17), 5),
    ((2, 16, 2, 8, 8), 5),
    ((2, 3, 1, 5, 6), 5),
]


@each_dtype
@pytest.mark.parametrize('memory_format', FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize('shape, k', SIZES, ids=str)
def test_agrees_with_float64(shape, k, memory_format, dtype):
    tensors = inputs(shape, (k, k, k), dtype, memory_format)
    got = output_and_gradients(depthwise_conv3d, tensors, (k // 2,) * 3)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    exact = output_and_gradients(torchs, exact, (k // 2,) * 3)
    # float32: sums of some thousand terms, one after the other
    assert_same(got, exact, BFLOAT16_ERROR if dtype == torch.bfloat16 else 2e-5)
    assert all(x.dtype == dtype for x in got)


# oneDNN, which has the faults, and torch choose their code each for itself.
@pytest.mark.parametrize(
    'code',
    [
        'ATEN_CPU_CAPABILITY=avx2',
        pytest.param('ATEN_CPU_CAPABILITY=default', marks=pytest.mark.slow),
        pytest.param('ONEDNN_MAX_CPU_ISA=AVX2', marks=pytest.mark.slow),
        pytest.param('OMP_NUM_THREADS=1', marks=pytest.mark.slow),
    ],
)
def test_agrees_where_memory_that_nobody_wrote_is_poisoned(run, code):
    command = [sys.executable, '-m', 'pytest', '-q', '--noconftest', 'tests/ops/test_depthwise.py']
    command += ['-k', 'agrees_with_float64']
    done = run('env', 'MALLOC_PERTURB_=128', code, *command, python=False)
    assert done.returncode == 0 and ' passed' in done.stdout, done.stdout + done.stderr


LARGE = (1, 2, 1, 128, LEAST // 256)


def uses_ours(shape=LARGE, kernel=(3, 3, 3), padding=(1, 1, 1), dtype=torch.float32):
    out = depthwise_conv3d(*inputs(shape, kernel, dtype), padding)
    return 'DepthwiseConv3d' in out.grad_fn.name()


@pytest.mark.skipif(not ON_X86, reason="torch's own backward is used here")
def test_ours_is_used_where_it_is_faster():
    assert uses_ours()


@pytest.mark.skipif(not HAS_BFLOAT16, reason="torch's own backward is used here")
def test_ours_is_used_in_bfloat16_for_any_size():
    tiny = (1, 2, 1, 3, 3)
    assert uses_ours(dtype=torch.bfloat16) and uses_ours(tiny, dtype=torch.bfloat16)
    with torch.autocast('cpu', torch.bfloat16):
        assert uses_ours(tiny)


@pytest.mark.parametrize(
    'change',
    [
        dict(shape=(1, 2, 1, 128, LEAST // 256 - 1)),
        dict(kernel=(3, 1, 1), padding=(1, 0, 0)),
        dict(kernel=(1, 1, 1), padding=(0, 0, 0)),
        dict(padding=(3, 1, 1)),
        dict(dtype=torch.float64),
        dict(dtype=torch.float16),
    ],
    ids=str,
)
def test_torchs_is_used_elsewhere(change):
    assert not uses_ours(**change)


def test_nothing_is_added_to_inference():
    x, weight, bias = inputs(LARGE, (3, 3, 3), torch.float32)
    with torch.no_grad():
        assert depthwise_conv3d(x, weight, bias, (1, 1, 1)).grad_fn is None
    weight, bias = weight.detach(), bias.detach()  # constants of the trace
    graph = torch.jit.trace(lambda x: depthwise_conv3d(x, weight, bias, (1, 1, 1)), x).graph
    assert '_convolution' in str(graph) and 'PythonOp' not in str(graph)


@pytest.mark.parametrize('inside', [False, True], ids=['outside', 'inside'])
def test_autocast(inside):
    tensors = inputs((2, 16, 2, 8, 8), (5, 5, 5), torch.float32)
    noise = torch.randn(2, 16, 2, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        out = depthwise_conv3d(*tensors, (2, 2, 2))
        loss = (out * noise).sum()
        grads = torch.autograd.grad(loss, tensors) if inside else None
    grads = grads or torch.autograd.grad(loss, tensors)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    want = torchs(*exact, (2, 2, 2))
    want = want, *torch.autograd.grad(want, exact, noise.double())
    assert_same((out, *grads), want, 2 * BFLOAT16_ERROR)  # operands are rounded too
    assert out.dtype == torch.bfloat16 and all(x.dtype == torch.float32 for x in grads)


def through_checkpoint(reentrant):
    return lambda *inputs: checkpoint(depthwise_conv3d, *inputs, use_reentrant=reentrant)


def compiled(backend):
    return torch.compile(depthwise_conv3d, backend=backend, fullgraph=True)


@each_dtype
@pytest.mark.parametrize(
    'transform, how',
    [
        (through_checkpoint, False),
        (through_checkpoint, True),
        (compiled, 'aot_eager'),
        pytest.param(compiled, 'inductor', marks=pytest.mark.slow),
    ],
)
def test_checkpointed_and_compiled(transform, how, dtype):
    torch.compiler.reset()
    tensors = inputs((2, 16, 4, 16, 16), (3, 5, 5), dtype)
    results = []
    for function in depthwise_conv3d, transform(how):
        out = function(*tensors, (1, 2, 2))
        out.sum().backward()
        results.append((out, *(t.grad for t in tensors)))
        for t in tensors:
            t.grad = None
    assert_same(
        results[1], [x.double() for x in results[0]], 1e-6 if dtype == torch.float32 else 2**-8
    )
