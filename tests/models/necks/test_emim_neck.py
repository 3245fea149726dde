import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope

from mmaction_emim.models import EMIMNeck


def recognizer(kind, backbone, head, neck):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    model = MODELS.build(dict(type=kind, backbone=backbone, cls_head=head, neck=neck))
    model.init_weights()
    return model


def trained(neck):
    torch.nn.init.normal_(neck.attn.proj.weight, std=0.1)
    return neck


@pytest.mark.parametrize('shape', [(2, 64, 4, 3, 5), (8, 64, 3, 5)], ids=str)
def test_starts_as_the_identity_and_keeps_the_shape(shape):
    x = torch.randn(shape)
    neck = EMIMNeck(64, window=3, num_segments=4)
    out, loss_aux = neck(x)
    assert torch.equal(out, x) and loss_aux == {}
    out, _ = trained(neck)(x)
    assert out.shape == x.shape and not torch.equal(out, x)


def test_2d_and_3d_features_agree():
    neck = trained(EMIMNeck(64, window=3, num_segments=4))
    x = torch.randn(2, 64, 4, 3, 5)
    frames = x.transpose(1, 2).flatten(0, 1)
    want = neck(x)[0].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(neck(frames)[0], want)


def test_recognizer3d_trains_and_predicts():
    backbone = dict(type='EMIMUniFormer', arch='tiny', window=3)
    head = dict(type='I3DHead', num_classes=5, in_channels=64, average_clips='prob')
    model = recognizer('Recognizer3D', backbone, head, dict(type='EMIMNeck', in_channels=64))
    samples = [ActionDataSample().set_gt_label(i) for i in range(2)]
    inputs = torch.randn(2, 1, 3, 4, 32, 32)
    model.loss(inputs, samples)['loss_cls'].backward()
    assert model.neck.attn.proj.weight.grad.any()
    assert model.eval().predict(inputs, samples)[0].pred_score.shape == (5,)


HEADS = {
    'TSN': (dict(type='TSNHead', dropout_ratio=0), dict()),
    'TSM': (dict(type='TSMHead', num_segments=4, dropout_ratio=0), dict(pool_time=False)),
}


@pytest.mark.parametrize('out_indices', [(3,), (2, 3)], ids=str)
@pytest.mark.parametrize('kind', HEADS)
def test_recognizer2d_logits_unchanged_at_step_0(kind, out_indices):
    head, options = HEADS[kind]
    head = dict(**head, num_classes=5, in_channels=512, average_clips='score')
    backbone = dict(type='ResNet', depth=18, pretrained=None, norm_eval=False)
    neck = dict(type='EMIMNeck', in_channels=512, window=3, **options)
    plain = recognizer('Recognizer2D', backbone, head, None).eval()
    ours = recognizer('Recognizer2D', {**backbone, 'out_indices': out_indices}, head, neck).eval()
    ours.load_state_dict(plain.state_dict(), strict=False)
    inputs = torch.randn(3, 4, 3, 64, 64)

    def scores(model):
        samples = [ActionDataSample().set_gt_label(0) for _ in range(3)]
        with torch.no_grad():
            return torch.stack([s.pred_score for s in model.predict(inputs, samples)])

    torch.testing.assert_close(scores(ours), scores(plain), rtol=1e-5, atol=1e-6)
    trained(ours.neck)
    assert not torch.allclose(scores(ours), scores(plain))


@pytest.mark.parametrize(
    'features', [torch.zeros(7, 64, 3, 3), torch.zeros(2, 64), 'text'], ids=str
)
def test_refuses_other_features(features):
    with pytest.raises(ValueError, match='EMIMNeck: features'):
        EMIMNeck(64, num_segments=4)(features)


def test_wrong_channels_name_the_key_and_the_right_number():
    one, several = EMIMNeck(in_channels=64), EMIMNeck(in_channels=[64, 128])
    with pytest.raises(ValueError, match='EMIMNeck: model.neck.in_channels must be 128, .* got 64'):
        one(torch.zeros(1, 128, 2, 3, 3))
    with pytest.raises(ValueError, match='EMIMNeck: model.neck.in_channels must be 64, .* got 77'):
        EMIMNeck(in_channels=77)(torch.zeros(1, 64, 2, 3, 3))
    with pytest.raises(ValueError, match=r'model.neck.in_channels\[1\] must be 64, .* got 128'):
        several((torch.zeros(1, 64, 2, 3, 3), torch.zeros(1, 64, 2, 3, 3)))


@pytest.mark.parametrize('kind', HEADS)
def test_views_of_a_clip_in_2d_tests_are_clips_of_their_own(kind):
    head, options = HEADS[kind]
    head = dict(**head, num_classes=5, in_channels=512, average_clips='score')
    backbone = dict(type='ResNet', depth=18, pretrained=None, norm_eval=False, out_indices=(2, 3))
    neck = dict(type='EMIMNeck', in_channels=512, window=3, num_segments=4, **options)
    model = recognizer('Recognizer2D', backbone, head, neck).eval()
    trained(model.neck)

    def scores(inputs):
        samples = [ActionDataSample().set_gt_label(0) for _ in inputs]
        with torch.no_grad():
            return torch.stack([s.pred_score for s in model.predict(inputs, samples)])

    crops = torch.randn(1, 3, 4, 3, 64, 64)
    want = scores(crops[0]).mean(dim=0, keepdim=True)
    torch.testing.assert_close(scores(crops.flatten(1, 2)), want, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match='num_segments must divide 10, .* got 4'):
        scores(torch.randn(1, 10, 3, 64, 64))


def test_a_neck_of_one_block_has_the_names_it_always_had():
    names = {name.split('.')[0] for name in EMIMNeck(64, window=3).state_dict()}
    assert names == {'norm', 'attn'}
    one, two = EMIMNeck(64, window=3), EMIMNeck(64, window=3, depth=2)
    assert two.load_state_dict(trained(one).state_dict(), strict=False).unexpected_keys == []
    x = torch.randn(1, 64, 3, 4, 4)
    torch.testing.assert_close(two(x)[0], one(x)[0])  # the second block starts as nothing


def test_blocks_follow_each_other_and_depth_sees_farther():
    x = torch.randn(1, 64, 4, 3, 3)
    neck = EMIMNeck(64, window=3, depth=2)
    first, second = EMIMNeck(64, window=3), EMIMNeck(64, window=3)
    for name, attn in (('attn', neck.attn), ('more.0.attn', neck.more[0]['attn'])):
        torch.nn.init.normal_(attn.proj.weight, std=0.1)
        one = first if name == 'attn' else second
        one.attn.load_state_dict(attn.state_dict())
    torch.testing.assert_close(neck(x)[0], second(first(x)[0])[0])
    changed = x.clone()
    changed[:, :, 2] *= -1
    moved = [(one(changed)[0] - one(x)[0])[:, :, 0].abs().max() > 1e-3 for one in (first, neck)]
    assert moved == [False, True]


@pytest.mark.parametrize('kind', HEADS)
def test_a_projection_comes_first_and_the_head_gets_its_channels(kind):
    neck = EMIMNeck(64, head_dim=16, window=3, channels=32, num_segments=4)
    neck.init_weights()
    x = torch.randn(2, 64, 4, 3, 5)
    want = torch.einsum('oc,ncthw->nothw', neck.reduce.weight, x)
    want = want + neck.reduce.bias[:, None, None, None]
    torch.testing.assert_close(neck(x)[0], want)
    frames = neck(x.transpose(1, 2).flatten(0, 1))[0]
    torch.testing.assert_close(frames, want.transpose(1, 2).flatten(0, 1))
    head, options = HEADS[kind]
    model = recognizer(
        'Recognizer2D',
        dict(type='ResNet', depth=18, pretrained=None),
        dict(**head, num_classes=5, in_channels=64),
        dict(type='EMIMNeck', in_channels=512, channels=64, window=3, **options),
    )
    labels = [ActionDataSample().set_gt_label(i) for i in range(2)]
    model.loss(torch.randn(2, 4, 3, 64, 64), labels)['loss_cls'].backward()
    assert model.neck.reduce.weight.grad.any() and model.neck.attn.proj.weight.grad.any()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(depth=0), 'depth must be 1 or more, got 0'),
        (dict(channels=0), 'channels must be 1 or more, got 0'),
        (dict(channels=48), 'head_dim must divide channels=48, got 64'),
        (dict(head_dim=0), 'head_dim must divide in_channels=64, got 0'),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(ValueError, match=f'EMIMNeck: {message}'):
        EMIMNeck(**{'in_channels': 64, **options})


@pytest.mark.parametrize('channels', [48, [48]], ids=str)
def test_a_head_dim_that_does_not_divide_is_refused_with_features(channels):
    neck = EMIMNeck(in_channels=channels)
    neck.init_weights()
    with pytest.raises(ValueError, match='EMIMNeck: head_dim must divide in_channels.*=48, got 64'):
        neck((torch.zeros(1, 48, 2, 3, 3),))
