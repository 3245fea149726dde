import pytest
from mmengine.config import Config

from mmaction_emim.evaluation.protocol import describe_test, input_shape

from ..conftest import ROOT

RESIZED = {
    'test_dataloader.dataset.pipeline.3': dict(type='Resize', scale=(64, 64), keep_ratio=False)
}


@pytest.mark.parametrize(
    'name, options, line',
    [
        ('emim_sthv2', {}, 'V2: 1 x 3 views (clips x crops) of 16 x 224 x 224; raw'),
        ('emim_k400', {}, 'Kinetics-400: 4 x 3 views'),
        ('emim_k400', {'model.cls_head.average_clips': 'prob'}, 'probabilities are averaged'),
        ('emim/tsm-emim_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb', {}, ': 2 x 3 views'),
        ('emim/tsn-emim_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb', {}, ': 1 x 10 views'),
        ('emim_motionshapes', {}, ' of 8 whole frames; raw scores'),
        ('emim_motionshapes', RESIZED, ' of 8 x 64 x 64; '),
        ('m2a/tsn-m2a_imagenet-pretrained-r18_8xb16-1x1x8-30e_sthv1-rgb', {}, 'V1: 1 x 1 views'),
    ],
)  # fmt: skip
def test_says_views_and_averaging(name, options, line):
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    cfg.merge_from_dict(options)
    assert line in describe_test(cfg)


def test_input_shape_is_the_test_pipelines():
    name = 'emim-uniformer-base_k400-pre_8xb4-u32-50e_sthv2-rgb'
    cfg = Config.fromfile(ROOT / 'configs' / 'emim' / f'{name}.py')
    assert input_shape(cfg) == (32, 224, 224)
