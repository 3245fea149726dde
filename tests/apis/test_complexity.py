import pytest
import torch
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode

from mmaction_emim.apis.complexity import complexity, cost, count_windows
from mmaction_emim.models.motion import EMIMAttention

# Millions of parameters at 174 classes, GMACs of a view of 224 x 224; computed from the authors'
# code, which computes the last pair twice (less than 1 % of the whole).
PAPER = {
    ('small', 16): (21.42, 85.1, 109.4, 41.7),
    ('small', 32): (21.42, 221.9, 323.4, 109.4),
    ('base', 16): (50.01, 198.0, 258.3, 96.6),
    ('base', 32): (50.01, 525.6, 777.1, 258.3),
}


def recognizer(**backbone):
    return dict(
        type='Recognizer3D',
        backbone=dict(type='EMIMUniFormer', **backbone),
        cls_head=dict(type='I3DHead', num_classes=174, in_channels=512),
    )


@pytest.mark.parametrize('arch, T', PAPER, ids=str)
def test_the_papers_cost(arch, T):
    millions, emim, all_global, uniformer = PAPER[arch, T]
    parameters, macs = complexity(recognizer(arch=arch), (T, 224, 224))
    assert round(parameters / 1e6, 2) == millions
    assert macs / 1e9 == pytest.approx(emim, rel=0.01)
    if T == 16:
        network = recognizer(arch=arch, alternation='G')
        assert complexity(network, (T, 224, 224))[1] / 1e9 == pytest.approx(all_global, rel=0.001)
        network = recognizer(arch=arch, alternation='G', temporal_stride=2)
        assert complexity(network, (T, 224, 224))[1] / 1e9 == pytest.approx(uniformer, rel=0.001)


def test_emim_by_hand():
    """2 frames of 2 x 3 tokens, 8 channels in 2 heads, window 3."""
    module = EMIMAttention(8, 2, window=3)
    with count_windows(module) as windows, FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 2, 2, 3, 8))
    linear = 2 * 6 * 8 * 24 + 6 * 8 * 8  # qkv of both frames, proj of the one pair
    motion = 6 * 2 * (9 * 36 + 36 * 4)
    assert counter.get_total_flops() // 2 == linear + motion
    assert windows == [2 * 6 * 8 * 9]
    assert module.backend == 'auto'


def test_real_tensors_give_the_same():
    model = recognizer(arch='tiny', depth=[1, 1, 2, 1])
    model['cls_head']['in_channels'] = 64
    assert complexity(model, (3, 64, 64)) == complexity(model, (3, 64, 64), run=True)


def test_a_configs_cost_is_of_its_test_view(root):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    assert cost(cfg) == complexity(cfg.model, (8, 224, 224))
