import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint

from mmaction_emim.models.weights.authors import (
    from_authors,
    inflate,
    to_authors,
    weights_of,
)
from mmaction_emim.models.weights.fit import fit_checkpoint

SIZES = dict(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])


def backbone_cfg(**change):
    return dict(type='EMIMUniFormer', depth=SIZES['depth'], embed_dim=SIZES['dims'], **change)


@pytest.fixture
def backbone():
    init_default_scope('mmaction')
    return MODELS.build(backbone_cfg())


def test_names_there_and_back(authors_weights):
    theirs = authors_weights(**SIZES)
    ours = from_authors(theirs)
    assert {'backbone.norm.weight', 'cls_head.fc_cls.bias'} < ours.keys()
    assert list(to_authors(ours)) == list(theirs)


@pytest.mark.parametrize('wrapper', ['model_state', 'state_dict', 'model', None])
def test_weights_of_every_wrapper(wrapper):
    state = {'module.a.weight': torch.zeros(1)}
    checkpoint = state if wrapper is None else {'epoch': 3, wrapper: state, 'cfg': 'yaml'}
    assert list(weights_of(checkpoint)) == ['a.weight']


def test_weights_of_nothing():
    with pytest.raises(ValueError, match='no weights in it'):
        weights_of({'epoch': 3})


def test_inflate_keeps_the_output_for_a_still_clip():
    torch.manual_seed(0)
    image, clip = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(3, 4, 3, bias=False)
    clip.weight.data = inflate(image.weight.data, clip.weight.shape)
    frame = torch.randn(1, 3, 6, 6)
    still = clip(frame.unsqueeze(2).repeat(1, 1, 3, 1, 1))[:, :, 0] + image.bias[:, None, None]
    torch.testing.assert_close(still, image(frame))


@pytest.mark.parametrize('classes', [174, 5])
def test_a_head_of_other_classes_is_left_out(authors_weights, classes):
    init_default_scope('mmaction')
    head = dict(type='I3DHead', num_classes=classes, in_channels=64)
    model = MODELS.build(dict(type='Recognizer3D', backbone=backbone_cfg(), cls_head=head))
    checkpoint = {'model_state': authors_weights(**SIZES), 'epoch': 1}
    left_out = fit_checkpoint(checkpoint, model)
    if classes == 174:
        assert left_out == {}
    else:
        shapes = {name: tuple(x.shape) for name, x in left_out.items()}
        assert shapes == {'cls_head.fc_cls.weight': (174, 64), 'cls_head.fc_cls.bias': (174,)}
    missing, unexpected = model.load_state_dict(checkpoint['state_dict'], strict=False)
    assert len(missing) == len(left_out) and unexpected == []


@pytest.mark.parametrize('form', ['pyth', 'bare', 'ours'])
def test_init_cfg_takes_the_file(authors_weights, tmp_path, form):
    init_default_scope('mmaction')
    theirs = authors_weights(**SIZES)
    form = dict(
        pyth={'model_state': theirs, 'epoch': 1, 'cfg': 'x: 1', 'optimizer_state': {}},
        bare=theirs,
        ours={'state_dict': from_authors(theirs), 'meta': {}},
    )[form]
    torch.save(form, tmp_path / 'theirs.pyth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'theirs.pyth'))
    model = MODELS.build(backbone_cfg(init_cfg=init))
    model.init_weights()
    for name, x in model.state_dict().items():
        assert torch.equal(x, theirs[name]), name


def test_init_cfg_inflates_images_and_starts_without_motion(authors_weights, tmp_path):
    init_default_scope('mmaction')
    theirs = authors_weights(**SIZES, emim=False, image=True)
    torch.save(theirs, tmp_path / 'in1k.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'in1k.pth'))
    model = MODELS.build(backbone_cfg(init_cfg=init))
    model.init_weights()
    stem = model.patch_embed1.proj.weight
    assert torch.equal(stem[:, :, 1], theirs['patch_embed1.proj.weight'] / 3)
    assert torch.equal(model.blocks3[0].attn.qkv.weight, theirs['blocks3.0.attn.qkv.weight'])
    assert not model.blocks3[0].attn.motion_conv[2].weight.any()


def test_a_checkpoint_of_something_else_is_refused(backbone, tmp_path):
    torch.save({'state_dict': {'backbone.conv1.weight': torch.zeros(1)}}, tmp_path / 'r50.pth')
    with pytest.raises(ValueError, match='no weight of EMIMUniFormer in it'):
        load_checkpoint(backbone, str(tmp_path / 'r50.pth'))


def test_a_copied_backbone_loads_too(backbone, authors_weights):
    theirs = authors_weights(**SIZES)
    theirs = {name: x for name, x in theirs.items() if not name.startswith('head')}
    copied = copy.deepcopy(backbone)
    copied.load_state_dict(from_authors(theirs))
    assert torch.equal(copied.norm.weight, theirs['norm.weight'])
    assert not torch.equal(backbone.norm.weight, theirs['norm.weight'])
