import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from projects.frozen_features.arms import ARMS, REFERENCE, TOLERANCE, build, fit, num_parameters
from projects.frozen_features.data import DATA
from projects.frozen_features.encoders import SOURCES
from projects.frozen_features.parts import FrameDifference
from projects.frozen_features.runs import forward

init_default_scope('mmaction')


@pytest.mark.parametrize('data', DATA.values(), ids=DATA)
@pytest.mark.parametrize('source', SOURCES.values(), ids=SOURCES)
def test_every_arm_has_the_references_parameters(source, data):
    counts = {name: build(arm, source.channels, data.num_classes)[1] for name, arm in ARMS.items()}
    for count in counts.values():
        assert abs(count / counts[REFERENCE] - 1) <= TOLERANCE


def test_a_number_that_no_width_gives_is_told():
    model, _ = build(ARMS['emim'], 96, 10)
    with pytest.raises(ValueError, match='EMIMNeck: .* parameters, more than 2% from 100'):
        fit(model, 100)


@pytest.mark.parametrize('name', ARMS)
def test_every_parameter_of_an_arm_learns(name):
    torch.manual_seed(0)
    config, parameters = build(ARMS[name], 96, 10)
    assert parameters == num_parameters(config)
    model = MODELS.build(config)
    model.init_weights()
    for parameter in model.parameters():  # what starts at zero would keep gradients from the rest
        torch.nn.init.normal_(parameter, std=0.1)
    scores = forward(model, torch.randn(2, 96, 8, 6, 5))
    assert scores.shape == (2, 10)
    scores.logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_differences_are_of_neighbouring_frames():
    torch.manual_seed(0)
    module, x = FrameDifference(4), torch.randn(2, 3, 2, 2, 4)
    out = module(x)
    torch.testing.assert_close(out[:, 0], module.mlp(x[:, 1] - x[:, 0]))
    torch.testing.assert_close(out[:, 1], module.mlp(x[:, 2] - x[:, 1]))
    torch.testing.assert_close(out[:, 2], out[:, 1])


def test_the_mean_head_sees_which_frame_and_not_which_place():
    torch.manual_seed(0)
    config, _ = build(ARMS['mean'], 96, 10)
    head, x = MODELS.build(config.cls_head), torch.randn(2, 32, 8, 3, 3)
    torch.testing.assert_close(head(x.flip(3, 4)), head(x))
    assert not torch.allclose(head(x.flip(2)), head(x))
