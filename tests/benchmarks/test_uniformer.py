"""The benchmarks' network in plain torch is EMIMUniFormer."""

import importlib

import pytest
import torch

from mmaction_emim.models import EMIMUniFormer


@pytest.fixture
def uniformer(root, monkeypatch):
    monkeypatch.syspath_prepend(root / 'benchmarks')
    return importlib.import_module('uniformer')


@pytest.mark.parametrize('alternation', ['LG', 'G'])
def test_same_names_and_numbers(uniformer, monkeypatch, alternation):
    sizes = dict(depth=[1, 1, 2, 1], embed_dim=[16, 32, 32, 48], head_dim=16)
    monkeypatch.setitem(uniformer.ARCHS, 'test', tuple(sizes.values()))
    torch.manual_seed(0)
    ours = EMIMUniFormer(**sizes, alternation=alternation, drop_path_rate=0.0)
    plain = uniformer.UniFormer('test', alternation)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 3, 64, 64)
    outputs = [model(x) for model in (plain, ours)]
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)  # float32: order of sums
    for out in outputs:
        out.square().sum().backward()
    got = dict(plain.named_parameters())
    for name, want in ours.named_parameters():
        error, size = (got[name].grad - want.grad).abs().max(), want.grad.abs().max()
        assert error <= 1e-4 * size + 1e-6, name


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base'])
def test_same_sizes(uniformer, arch):
    with torch.device('meta'):
        plain = uniformer.UniFormer(arch).state_dict()
    ours = EMIMUniFormer(arch).state_dict()
    assert {k: x.shape for k, x in plain.items()} == {k: x.shape for k, x in ours.items()}
