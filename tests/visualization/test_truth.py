import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from mmaction_emim.visualization.truth import (
    MOVING,
    LayerMotion,
    Places,
    agreements,
    compare,
    found_and_true,
    plot_agreement,
)


def test_compare_has_known_answers():
    true = np.array([[3.0, 4.0], [0.0, 0.5], [-2.0, 0.0]])  # the second is too short to have one
    right = compare(true, true)
    assert right == (2, pytest.approx(0, abs=1e-5), 1, 1, 0, 3.5)
    half = compare(true / 2, true)
    assert half.direction == pytest.approx(0, abs=1e-5) and half.length == 0.5
    assert half.error == pytest.approx((2.5 + 1) / 2)
    across = compare(true[:, ::-1] * (1, -1), true)
    assert across.direction == pytest.approx(90) and across.length == pytest.approx(0)
    turned = compare(np.array([[1.0, 1.7]]), np.array([[2.0, 0.0]]))  # by 60 degrees
    assert turned.direction == pytest.approx(60, abs=1) and turned.within_45 == 0
    still = compare(np.zeros_like(true), true)
    assert still.error == still.still_error and still.direction == 90
    assert compare(true[:0], true[:0]).places == 0


def test_a_network_that_matches_patches_finds_the_direction():
    """Not trained: keys are queries, so that a patch finds the one that looks like it."""
    init_default_scope('mmaction')
    model = ConfigDict(
        type='Recognizer3D',
        backbone=dict(
            type='EMIMUniFormer',
            arch='tiny',
            spatial_stride=2,
            match_init=True,
            init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in', nonlinearity='linear'),
        ),
        cls_head=dict(type='I3DHead', num_classes=12, in_channels=64, average_clips='prob'),
        data_preprocessor=dict(
            type='ActionDataPreprocessor', mean=[114.75] * 3, std=[57.375] * 3, format_shape='NCTHW'
        ),
    )
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    motion = found_and_true(model.eval(), clips=2)['backbone.blocks3.0.attn']
    assert motion.token == 8 and list(motion.classes) == MOVING
    rows = dict(agreements(motion))
    assert list(rows)[2:] == MOVING
    assert rows['all'].places == sum(rows[name].places for name in MOVING)
    translated = [rows[name] for name in ('left', 'right', 'up', 'down')]
    assert np.mean([row.within_45 for row in translated]) > 0.4  # chance is 0.25
    assert all(row.length > 0.1 for row in translated)


def test_the_figure_shows_both_selections():
    generator = np.random.default_rng(0)
    true = generator.normal(size=(500, 2)) * 5
    found = true + generator.normal(size=true.shape)
    places = Places(found, true, generator.uniform(size=500))
    assert len(places.believed().found) == (places.confidence >= 0.25).sum()
    figure = plot_agreement(LayerMotion(8, dict(left=places)), 'title')
    labels = [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]
    assert {'all places on objects', 'confidence 0.25 or more', 'a token'} <= set(labels)
