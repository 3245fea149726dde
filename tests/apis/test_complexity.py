import pytest
from mmaction.registry import MODELS
from mmengine.config import Config

from mmaction_emim.apis import complexity, cost, without_motion

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


def vit(**motion):
    backbone = dict(
        type='VisionTransformer', img_size=32, num_frames=4, embed_dims=32, depth=2, num_heads=2
    )
    if motion:
        backbone = dict(type='MotionBackbone', backbone=backbone, motion=motion, mode='insert')
    head = dict(type='TimeSformerHead', num_classes=5, in_channels=32)
    return dict(type='Recognizer3D', backbone=backbone, cls_head=head)


def test_real_tensors_and_every_backend_give_the_same():
    emim, shape = dict(type='EMIMAttention', window=3), (4, 32, 32)
    expected = complexity(vit(**emim), shape)
    assert complexity(vit(**emim), shape, run=True) == expected
    for backend in ('dense', 'reference'):
        assert complexity(vit(**emim, backend=backend), shape) == expected


@pytest.mark.parametrize('assignment', ['greedy', 'exact'])
def test_a_path_that_depends_on_values_is_run(assignment):
    """Its products are those of the path that does not: the assignment is not counted."""
    ata = dict(type='AlignmentGuidedTemporalAttention')
    parameters, macs = complexity(vit(**ata, assignment=assignment), (4, 32, 32))
    fixed = complexity(vit(**ata, assignment='none'), (4, 32, 32))
    # similarities of 4 tokens in 2 frames, of 32 channels
    assert (parameters, macs) == (fixed[0], fixed[1] + 4 * 4 * 32)


def test_a_clip_that_does_not_fit_is_one_clear_sentence():
    with pytest.raises(ValueError, match='a clip of 4 x 8 x 32 does not fit: .*size'):
        complexity(vit(), (4, 8, 32))


def test_without_motion():
    plain = vit()
    for motion in ('EMIMAttention', 'MotionAwareAttention'):
        assert without_motion(vit(type=motion)) == plain
    assert without_motion({**plain, 'neck': dict(type='EMIMNeck', in_channels=32)}) == plain
    assert without_motion({**plain, 'neck': dict(type='TPN')}) != plain
    neck = dict(type='EMIMNeck', in_channels=32, channels=16, head_dim=8, depth=2)
    left = without_motion({**plain, 'neck': neck})
    assert {k: v for k, v in left.items() if k != 'neck'} == plain
    assert sum(p.numel() for p in MODELS.build(left['neck']).parameters()) == 33 * 16
    emim = recognizer(arch='tiny', match_init=True, window=5, out_of_frame='mask')
    assert without_motion(emim) == recognizer(arch='tiny', alternation='G')
    MODELS.build(without_motion(emim))


def test_a_configs_cost_is_of_its_test_view(root):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    assert cost(cfg) == complexity(cfg.model, (8, 224, 224))
