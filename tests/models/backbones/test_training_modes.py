"""EMIMUniFormer recomputed, compiled and in bfloat16 against itself as it is."""

import copy

import pytest
import torch
from torch import nn

from mmaction_emim.models.backbones import EMIMUniFormer

DEPTH = [1, 1, 2, 2]


@pytest.fixture
def clip():
    return torch.randn(2, 3, 4, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    net = EMIMUniFormer('small', depth=DEPTH, drop_path_rate=0.2)
    for block in [*net.blocks3, *net.blocks4]:
        if hasattr(block.attn, 'motion_conv'):
            nn.init.normal_(block.attn.motion_conv[2].weight, std=0.1)  # zero at first
    return net


def saved_bytes(net, clip):
    sizes = {}

    def pack(x):
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = net(clip)
    return sum(sizes.values()), out


def test_recomputing_changes_memory_alone(backbone, clip):
    recomputed = EMIMUniFormer('small', depth=DEPTH, drop_path_rate=0.2, with_cp=[1, 2, 3, 4])
    recomputed.load_state_dict(backbone.state_dict())
    recomputed = copy.deepcopy(recomputed)  # as EMA does
    kept = []
    for net in (backbone.train(), recomputed.train()):
        torch.manual_seed(1)
        size, out = saved_bytes(net, clip)
        kept.append(size - sum(p.numel() * 4 for p in net.parameters()))
        out.square().sum().backward()
    assert kept[1] < 0.3 * kept[0]
    for (name, p), q in zip(backbone.named_parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-6, atol=1e-6, msg=name)
    for (name, p), q in zip(backbone.named_buffers(), recomputed.buffers(), strict=True):
        assert name.endswith('num_batches_tracked') or torch.equal(p, q), name


@pytest.mark.parametrize('stages', [[5], 3, [0]])
def test_stages_are_checked(stages):
    with pytest.raises(ValueError, match='with_cp: give stages from 1 to 4'):
        EMIMUniFormer('tiny', with_cp=stages)


def test_compiles_without_a_graph_break(backbone, clip):
    compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)
    with torch.no_grad():
        expected = backbone.eval()(clip)
        torch.testing.assert_close(compiled(clip), expected, rtol=1e-4, atol=1e-4)
    backbone.train()
    compiled(clip).square().sum().backward()
    assert all(p.grad is not None for p in backbone.blocks3[0].attn.parameters())


def test_bfloat16(backbone, clip):
    with torch.no_grad():
        expected = backbone.eval()(clip)
        with torch.autocast('cpu', torch.bfloat16):
            got = backbone(clip).float()
    assert (got - expected).norm() < 2e-2 * expected.norm()
