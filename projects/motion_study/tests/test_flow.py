import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.motion_shapes import CLASSES
from mmaction_emim.models.motion import EMIMAttention
from projects.motion_study import flow
from projects.motion_study.runs import CONFIGS


@pytest.mark.parametrize('shift', [(0, 0), (1, 0), (-2, 1), (0, -3)], ids=str)
def test_best_offset_of_a_translation_is_its_displacement(shift):
    """Tokens all unlike each other, moved by whole tokens; q and k are the tokens themselves."""
    torch.manual_seed(0)
    C, (dx, dy) = 64, shift
    module = EMIMAttention(C, 2, window=7)
    module.qkv.weight.data = torch.eye(C).repeat(3, 1)
    module.qkv.bias.data.zero_()
    frame = torch.nn.functional.normalize(torch.randn(9, 8, C), dim=-1) * 10
    x = torch.stack([frame, frame.roll((dy, dx), (0, 1)), frame.roll((2 * dy, 2 * dx), (0, 1))])
    offsets = flow.best_offset(module, x[None])
    assert offsets.shape == (1, 2, 9, 8, 2)
    inner = offsets[:, :, 3:-3, 3:-3]  # elsewhere the token may leave the frame
    assert (inner == torch.tensor([dx, dy])).all()


def test_objects_are_where_their_trajectory_says():
    right, shake = CLASSES.index('right'), CLASSES.index('shake')
    mask, truth = flow.on_objects(right, 3, 3, 8)
    assert mask.shape == (7, 8, 8) and 0 < mask.mean() < 0.7
    # 3.5 to 7 pixels a frame of 128, three frames, 16 pixels a token there
    assert (truth[..., 1] == 0).all()
    assert truth[..., 0].min() >= 3.5 * 3 / 16 and truth[..., 0].max() <= 7 * 3 / 16
    twice = flow.on_objects(right, 3, 6, 8)[1]
    np.testing.assert_allclose(twice, 2 * truth)
    assert np.ptp(flow.on_objects(shake, 3, 3, 8)[1][:, 0, 0], axis=0).min() > 0.1


def test_compare_has_known_answers():
    truth = np.array([[3.0, 4.0], [0.0, 0.0], [-1.2, 0.0]])
    right = flow.compare(truth, truth)
    assert right.error == 0 and right.correlation == 1 and right.tokens == 3
    assert right.zero_error == pytest.approx((5 + 0 + 1.2) / 3, abs=1e-3)
    assert right.best_error == pytest.approx(0.2 / 3, abs=1e-3)
    still = flow.compare(np.zeros_like(truth), truth)
    assert still.error == still.zero_error and np.isnan(still.correlation)


def test_reads_every_layer_of_a_network():
    init_default_scope('mmaction')
    model = Config.fromfile(CONFIGS / 'vit-tiny.py').model
    motion = dict(type='EMIMAttention', match_init=True)
    model.backbone = dict(type='MotionBackbone', backbone=model.backbone, motion=motion)
    torch.manual_seed(0)
    built = MODELS.build(model)
    built.init_weights()
    readings = flow.read_network(built, clips=1)
    layers = ('backbone.blocks.0.attn', 'backbone.blocks.2.attn')
    assert set(readings) == {f'{layer}, interval {i}' for layer in layers for i in (3, 6)}
    for reading in readings.values():
        assert 0 < reading.best_error < reading.zero_error and reading.tokens > 20
