"""Forward and backward inside and around autocast; 'triton' where this process can run it."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmaction_emim import ops
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.ops import triton

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
BACKENDS = ['reference', 'dense']
if triton.refusal(DEVICE, torch.float32, 16, 3) is None:
    BACKENDS.append('triton')

# Of the largest value: the rounding u of a dtype, a few times on the way through qkv, operator and
# proj and back. Triton's interpreter cuts off where a GPU rounds, which doubles u.
TOLERANCE = {torch.float16: 6 * 2**-11, torch.bfloat16: 6 * 2**-8}

each_backend = pytest.mark.parametrize('backend', BACKENDS)
each_dtype = pytest.mark.parametrize('dtype', TOLERANCE, ids=['float16', 'bfloat16'])
each_place = pytest.mark.parametrize('inside', [False, True], ids=['outside', 'inside'])


def assert_equal(got, want, dtype):
    """On a GPU up to rounding: torch adds up there in an order that varies."""
    if DEVICE.type == 'cpu':
        assert torch.equal(got, want)
    else:
        assert (got - want).abs().max() <= TOLERANCE[dtype] * want.abs().max()


def layer(backend):
    torch.manual_seed(0)
    layer = EMIMAttention(32, num_heads=2, window=3, backend=backend).to(DEVICE)
    for parameter in layer.motion_conv[2].parameters():  # zero at first
        nn.init.normal_(parameter, std=0.2)
    return layer


def tokens(dtype=torch.float32):
    torch.manual_seed(1)
    return torch.randn(1, 3, 4, 5, 32, device=DEVICE).to(dtype).requires_grad_()


def output_and_gradients(layer, x, dtype, inside, run=None):
    """Of the layer, or of ``run(x)`` through it; backward inside the autocast region or after."""
    region = nullcontext() if dtype is None else torch.autocast(DEVICE.type, dtype)
    with region:
        out = layer(x) if run is None else run(x)
        loss = (out * torch.linspace(-1, 1, 32, device=DEVICE)).double().sum()
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    found = {name: p.grad for name, p in layer.named_parameters()} | {'x': x.grad, 'out': out}
    layer.zero_grad()
    return found


@each_place
@each_dtype
@each_backend
def test_layer_agrees_with_float64(backend, dtype, inside):
    got = output_and_gradients(layer(backend), tokens(), dtype, inside)
    exact = layer('reference').double()
    want = output_and_gradients(exact, tokens(torch.float64), None, inside)
    for name, value in want.items():
        error = (got[name].double() - value).abs().max()
        assert error <= TOLERANCE[dtype] * value.abs().max(), name
        assert got[name].dtype == (dtype if name == 'out' else torch.float32), name


def call(function, tensors, backend):
    qkv, bias, *mlp = tensors
    if function == 'motion_attention':
        return (ops.motion_attention(qkv, bias, 3, ops.MLP(*mlp), backend=backend),)
    q, k, v = qkv.flatten(0, 1).permute(3, 0, 4, 1, 2, 5)
    if function == 'cost_volume':
        return (ops.cost_volume(q, k, bias, 3, backend=backend),)
    return ops.local_attention(q, k, v, bias, 3, backend=backend)


@each_dtype
@pytest.mark.parametrize('function', ['cost_volume', 'local_attention', 'motion_attention'])
@each_backend
def test_operators_take_no_notice_of_autocast(backend, function, dtype):
    shapes = (1, 3, 4, 5, 3, 2, 16), (2, 3, 3), (20, 9), (20,), (16, 20), (16,)
    torch.manual_seed(0)
    tensors = [torch.randn(shape, device=DEVICE).div(4).requires_grad_() for shape in shapes]
    results = []
    for enabled in False, True:
        with torch.autocast(DEVICE.type, dtype, enabled=enabled):
            outputs = call(function, tensors, backend)
            loss = sum(x.square().sum() for x in outputs)
            grads = torch.autograd.grad(loss, tensors, materialize_grads=True)
        results.append((*outputs, *grads))
    for got, want in zip(*reversed(results), strict=True):
        if (backend, function) == ('reference', 'motion_attention'):
            # Torch itself differentiates its products: inside autocast, of rounded operands.
            assert (got - want).abs().max() <= TOLERANCE[dtype] * want.abs().max()
        else:
            assert_equal(got, want, dtype)


def loses_gradients():
    """Whether a linear layer that is checkpointed inside autocast has no gradient, as in 2.9."""
    linear, x = nn.Linear(4, 4, device=DEVICE), torch.ones(1, 4, device=DEVICE, requires_grad=True)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        checkpoint(linear, x, use_reentrant=True).sum().backward()
    return linear.weight.grad is None


@pytest.mark.parametrize('reentrant', [False, True], ids=['', 'reentrant'])
@each_place
@each_dtype
@each_backend
def test_checkpointing_changes_nothing(backend, dtype, inside, reentrant):
    if inside and reentrant and loses_gradients():
        pytest.skip('this release of torch loses the gradients of any layer there')
    model = layer(backend)
    got, want = (
        output_and_gradients(model, tokens(), dtype, inside, run)
        for run in (lambda x: checkpoint(model, x, use_reentrant=reentrant), model)
    )
    for name, value in want.items():
        assert_equal(got[name], value, dtype)


@pytest.mark.parametrize(
    'compiler', ['aot_eager', pytest.param('inductor', marks=pytest.mark.slow)]
)
@each_place
@each_dtype
@each_backend
def test_compiled(backend, dtype, inside, compiler):
    torch.compiler.reset()
    model = layer(backend)
    compiled = torch.compile(model, backend=compiler, fullgraph=True)
    got = output_and_gradients(model, tokens(), dtype, inside, compiled)
    want = output_and_gradients(model, tokens(), dtype, inside)
    for name, value in want.items():
        # Compilers keep float32 where eager rounds between layers.
        assert (got[name] - value).abs().max() <= TOLERANCE[dtype] * value.abs().max(), name
        assert got[name].dtype == value.dtype
