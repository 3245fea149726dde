"""EMIMUniFormer's depthwise convolutions: same parameters, same numbers, and ours."""

import torch
from torch import nn

from mmaction_emim.models import EMIMUniFormer
from mmaction_emim.models.backbones.depthwise import DepthwiseConv3d, use_depthwise_conv3d


def test_served_are_depthwise_with_stride_1_alone():
    def conv(C=4, out=4, k=3, **options):
        return nn.Conv3d(C, out, k, **{'groups': 4, 'padding': 1, **options})

    served = nn.ModuleList([conv(), conv(k=5, padding=2), conv(padding=0, bias=False)])
    others = [dict(groups=2), dict(groups=1), dict(out=8), dict(stride=2), dict(dilation=2)]
    others += [dict(padding_mode='replicate'), dict(padding='same')]
    others = nn.ModuleList([*(conv(**options) for options in others), nn.Conv2d(4, 4, 3, groups=4)])
    for model in served, others:
        names = list(model.state_dict())
        use_depthwise_conv3d(model)
        assert list(model.state_dict()) == names
        x = torch.randn(2, 4, 3, 8, 8)
        for module in model[:-1]:
            assert module(x).shape == nn.Conv3d.forward(module, x).shape
    assert all(type(module) is DepthwiseConv3d for module in served)
    assert not any(type(module) is DepthwiseConv3d for module in others)


def gradients(backbone, x):
    backbone(x).square().mean().backward()
    grads = [p.grad.clone() for p in backbone.parameters()]
    backbone.zero_grad()
    return grads


def test_backbone_trains_as_with_torchs():
    torch.manual_seed(0)
    backbone = EMIMUniFormer('tiny', depth=[1, 1, 1, 1], window=3, drop_path_rate=0.0)
    blocks = [*backbone.blocks1, *backbone.blocks2, *backbone.blocks3, *backbone.blocks4]
    assert all(type(block.pos_embed) is DepthwiseConv3d for block in blocks)
    assert all(type(block.attn) is DepthwiseConv3d for block in blocks[:2])
    x = torch.randn(2, 3, 4, 64, 64)
    ours = gradients(backbone, x)
    for module in backbone.modules():
        if type(module) is DepthwiseConv3d:
            module.__class__ = nn.Conv3d
    for got, want in zip(ours, gradients(backbone, x), strict=True):
        # float32: order of sums, through all layers
        assert (got - want).abs().max() <= 1e-4 * want.abs().max() + 1e-9
