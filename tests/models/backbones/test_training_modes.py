"""EMIMUniFormer recomputed, compiled and in bfloat16 against itself as it is."""

import copy
import shutil

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.model import convert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.compat import BatchNorm
from mmaction_emim.models.backbones import EMIMUniFormer

from ...conftest import ROOT

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


def test_synchronized_batch_norm_is_the_same_in_one_process(clip):
    """What it does in several needs GPUs: the statistics of all."""
    net = EMIMUniFormer('tiny', with_cp=[1, 2, 3, 4])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    synchronized = convert_sync_batchnorm(copy.deepcopy(net), 'torch')
    norms = [m for m in net.modules() if isinstance(m, BatchNorm)]
    assert len(norms) == sum(isinstance(m, nn.SyncBatchNorm) for m in synchronized.modules()) > 0
    assert [*net.state_dict()] == [*synchronized.state_dict()]
    for mode in (True, False):
        out, again = net.train(mode)(clip), synchronized.train(mode)(clip)
        assert torch.equal(out, again)
        out.square().sum().backward()
        again.square().sum().backward()
    for name, p in [*net.named_buffers()]:
        assert torch.equal(p, synchronized.get_buffer(name)), name
    for name, p in net.named_parameters():
        assert torch.equal(p.grad, synchronized.get_parameter(name).grad), name


@pytest.mark.parametrize('stages', [[5], 3, [0]])
def test_stages_are_checked(stages):
    with pytest.raises(ValueError, match='with_cp: give stages from 1 to 4'):
        EMIMUniFormer('tiny', with_cp=stages)


@pytest.mark.slow
def test_compiles_without_a_graph_break(backbone, clip):
    compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)
    with torch.no_grad():
        expected = backbone.eval()(clip)
        torch.testing.assert_close(compiled(clip), expected, rtol=1e-4, atol=1e-4)
    backbone.train()
    compiled(clip).square().sum().backward()
    assert all(p.grad is not None for p in backbone.blocks3[0].attn.parameters())


@pytest.fixture
def logits(backbone):
    """From a clip to the scores of the recognizer that a config makes, with a small backbone."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / 'emim_uniformer_small.py').model
    recognizer = MODELS.build(cfg).eval()
    recognizer.backbone = backbone.eval()
    nn.init.normal_(recognizer.cls_head.fc_cls.weight, std=0.1)  # upstream's start is near 0
    return lambda clip: recognizer.cls_head(recognizer.extract_feat(clip[:, None])[0])


COMPILER = pytest.mark.skipif(not shutil.which('g++'), reason='inductor needs g++ on the CPU')


@pytest.mark.parametrize(
    'backend', ['aot_eager', pytest.param('inductor', marks=[pytest.mark.slow, COMPILER])]
)
def test_a_compiled_recognizer_gives_the_same_logits(logits, clip, backend):
    with torch.no_grad():
        expected = logits(clip)
        got = torch.compile(logits, backend=backend)(clip)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_logits(logits, clip):
    with torch.no_grad():
        expected = logits(clip)
        with torch.autocast('cpu', torch.bfloat16):
            got = logits(clip).float()
    assert 0 < (got - expected).norm() < 2e-2 * expected.norm()
