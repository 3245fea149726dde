"""What is claimed of every motion module that models/motion lists."""

import copy
import inspect

import pytest
import torch
from mmaction.registry import MODELS

from mmaction_emim.models import motion
from mmaction_emim.models.motion.checks import check_heads, check_tokens
from mmaction_emim.models.motion.layer_scale import new_layer_scale

from ...conftest import ROOT

DIM = 32
HELPERS = {'__init__', 'checks', 'layer_scale'}
FILES = {path.stem for path in (ROOT / 'mmaction_emim/models/motion').glob('*.py')} - HELPERS
every_module = pytest.mark.parametrize('name', motion.__all__)


def file_of(name):
    return inspect.getmodule(getattr(motion, name)).__name__.rpartition('.')[2]


@pytest.fixture
def module(name):
    torch.manual_seed(0)
    return getattr(motion, name)(DIM)


def test_every_file_is_listed():
    """A module that is forgotten in __init__.py is in no list, so no other test would miss it."""
    assert {file_of(name) for name in motion.__all__} == FILES


@every_module
def test_it_is_registered_and_has_a_test_a_config_and_a_readme(name):
    assert MODELS.get(name) is getattr(motion, name)
    assert (ROOT / f'tests/models/motion/test_{file_of(name)}.py').exists()
    folder = ROOT / 'configs' / file_of(name)
    assert any(name in config.read_text() for config in folder.glob('*.py')), folder
    assert (folder / 'README.md').exists()


@every_module
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_tokens_to_tokens(module, dtype):
    """Of frames that are not square, and of a dtype that stays."""
    for T in (2, 5):
        x = torch.randn(2, T, 3, 4, DIM, dtype=dtype)
        out = module.to(dtype)(x)
        assert (out.shape, out.dtype) == (x.shape, dtype) and out.isfinite().all()


@every_module
def test_every_parameter_and_the_tokens_get_gradients(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 3, 3, 4, DIM, requires_grad=True)
    module(x).square().mean().backward()
    for parameter in (x, *module.parameters()):
        assert parameter.grad.isfinite().all() and parameter.grad.any()


@every_module
def test_clips_do_not_see_each_other(module):
    x = torch.randn(2, 3, 3, 4, DIM)
    torch.testing.assert_close(module(x)[1:], module(x[1:]))


@pytest.mark.parametrize(
    'name', [name for name in motion.__all__ if hasattr(getattr(motion, name), 'start_as_identity')]
)
def test_it_starts_as_the_identity(module):
    """Others get a LayerScale of zeros where they are inserted."""
    x = torch.randn(1, 3, 3, 4, DIM)
    module.start_as_identity()
    nothing = x if getattr(module, 'includes_input', False) else torch.zeros_like(x)
    assert torch.equal(module(x), nothing)


@every_module
def test_a_copy_computes_the_same(module):
    x = torch.randn(1, 3, 3, 4, DIM)
    assert torch.equal(copy.deepcopy(module)(x), module(x))
    again = type(module)(DIM)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), module(x))


@every_module
@pytest.mark.parametrize('shape', [(1, 1, 3, 4, DIM), (2, 3, 12, DIM)], ids=str)
def test_other_tokens_are_refused(module, name, shape):
    with pytest.raises(ValueError, match=rf'^{name}: x must be \(B, T, H, W, C\) with T of 2 or'):
        module(torch.randn(shape))


def test_checks_say_what_they_got():
    with pytest.raises(ValueError, match=r'^A: num_heads must divide dim=10, got 4$'):
        check_heads('A', 10, 4)
    with pytest.raises(ValueError, match='got 0$'):
        check_heads('A', 10, 0)
    with pytest.raises(ValueError, match=r'^A: .* T of 3 or more, got \(1, 2, 3, 4, 8\)$'):
        check_tokens('A', torch.zeros(1, 2, 3, 4, 8), frames=3)
    check_heads('A', 10, 5), check_tokens('A', torch.zeros(1, 2, 3, 4, 8))


def test_layer_scale():
    scale = new_layer_scale(torch.zeros(3, dtype=torch.float64), 0.5)
    assert scale.tolist() == [0.5] * 3 and scale.dtype == torch.float64 and scale.requires_grad
