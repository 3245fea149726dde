"""EMIMNeck on the features of every family that has a map of them."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from mmaction_emim.models import EMIMNeck

from ..conftest import ZOO

# Family: (channels of its features, heads' channels, arguments that make it return a map)
MAPS = {
    'UniFormer': (32, 16, {}),
    'SwinTransformer3D': (128, 64, {}),
    'MViT': (32, 16, dict(output_cls_token=False)),
    'VisionTransformer': (32, 16, dict(return_feat_map=True)),
    'C2D': (512, 64, {}),
    'ResNet3d': (256, 64, {}),
    'ResNet3dSlowOnly': (256, 64, {}),
    'ResNet3dCSN': (256, 64, {}),
    'X3D': (432, 16, {}),
    'ResNet3dSlowFast': ([512, 128], 64, {}),
    'ResNet': (512, 64, {}),
    'ResNetTSM': (512, 64, {}),
    'MobileNetV2TSM': (1280, 64, {}),
    'TANet': (512, 64, {}),
}


def features(family, clip, **more):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type=family, **ZOO[family][0], **more))
    backbone.eval()
    with torch.no_grad():
        return backbone(clip(family))


@pytest.mark.parametrize('family', MAPS)
def test_starts_as_the_identity(clip, family):
    channels, head_dim, more = MAPS[family]
    x = features(family, clip, **more)
    neck = EMIMNeck(channels, head_dim, window=3, num_segments=4)
    neck.init_weights()
    out, losses = neck(x)
    first = x[0] if isinstance(x, tuple) and len(x) == 1 else x
    maps = [part if isinstance(part, tuple) else (part,) for part in (out, first)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*maps, strict=True))
    assert losses == {}
    for parameter in neck.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    changed = neck(x)[0]
    pair = (changed[0], first[0]) if isinstance(first, tuple) else (changed, first)
    assert not torch.equal(*pair)


@pytest.mark.parametrize('family', ['TimeSformer', 'UniFormerV2', 'MViT'])
def test_class_tokens_have_no_map(clip, family):
    with pytest.raises(ValueError, match='class tokens or pooled features has no map'):
        EMIMNeck(32, 16)(features(family, clip))


def test_as_many_channels_as_maps(clip):
    with pytest.raises(ValueError, match='in_channels has 3 numbers, the backbone returns 2'):
        EMIMNeck([512, 128, 64])(features('ResNet3dSlowFast', clip))
