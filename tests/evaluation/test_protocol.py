from pathlib import Path

import mmaction
import pytest
from mmaction.datasets.transforms import SampleFrames, ThreeCrop
from mmaction.models import Recognizer2D
from mmengine.config import Config, ConfigDict

from mmaction_emim.evaluation.protocol import check_views, describe_test, input_shape, keeps_size

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


@pytest.mark.parametrize(
    'name, options, keeps',
    [
        ('emim_motionshapes', {}, True),
        ('emim_motionshapes', RESIZED, False),
        (
            'emim_motionshapes',
            {'test_dataloader.dataset.pipeline.3': dict(type='Resize', scale=(-1, 64))},
            False,
        ),
        ('emim_sthv2', {}, False),
    ],
)
def test_whether_frames_stay_as_large_as_they_are(name, options, keeps):
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    cfg.merge_from_dict(options)
    assert keeps_size(cfg) == keeps


def test_input_shape_is_the_test_pipelines():
    name = 'emim-uniformer-base_k400-pre_8xb4-u32-50e_sthv2-rgb'
    cfg = Config.fromfile(ROOT / 'configs' / 'emim' / f'{name}.py')
    assert input_shape(cfg) == (32, 224, 224)


UPSTREAM = Path(mmaction.__file__).parent / '.mim' / 'configs'
WRAPPED = 'slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb'
SEVERAL_MODALITIES = 'posec3d/rgbpose_conv3d/rgbpose_conv3d'
TEN_CROPS = 'tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb'


def test_something_of_every_test_of_upstream():
    tests = 0
    for path in UPSTREAM.rglob('*.py'):
        cfg = Config.fromfile(path)
        if '_base_' not in path.parts and 'test_dataloader' in cfg:
            assert describe_test(cfg).startswith('test on '), path
            tests += 1
    assert tests > 200


@pytest.mark.parametrize(
    'name, line',
    [
        (
            f'recognition/{WRAPPED}',
            'test on Kinetics-400 and Kinetics-600 and /data/kinetics710/k700_val_list_videos.txt: '
            '10 x 3 views (clips x crops) of 8 x 256 x 256; probabilities are averaged '
            '(model.cls_head.average_clips)',
        ),
        (  # a localizer on features
            'localization/bsn/bsn_tem_1xb16-400x100-20e_activitynet-feature',
            'test on /data/ActivityNet/anet_anno_full.json',
        ),
        (
            f'skeleton/{SEVERAL_MODALITIES}',
            'test on /data/skeleton/ntu60_2d.pkl; probabilities are averaged '
            '(model.cls_head.average_clips)',
        ),
    ],
    ids=['wrapped', 'no head', 'modalities'],
)
def test_says_what_can_be_said(name, line):
    assert describe_test(Config.fromfile(UPSTREAM / f'{name}.py')) == line


def test_types_may_be_classes():
    pipeline = [dict(type=SampleFrames, clip_len=1, num_clips=8), dict(type=ThreeCrop, crop_size=9)]
    cfg = Config(
        dict(
            model=dict(type=Recognizer2D),
            test_dataloader=dict(dataset=dict(type='Own', pipeline=pipeline)),
        )
    )
    assert describe_test(cfg) == 'test on Own: 1 x 3 views (clips x crops) of 8 x 9 x 9'


def test_needs_a_test():
    with pytest.raises(ValueError, match='test_dataloader: the config has none'):
        describe_test(Config(dict(model={})))


def test_a_neck_that_would_take_views_for_one_clip_is_refused():
    cfg = Config.fromfile(UPSTREAM / 'recognition' / 'tsn' / f'{TEN_CROPS}.py')
    cfg.model.neck = dict(type='EMIMNeck', in_channels=2048)
    with pytest.raises(
        ValueError, match='neck.num_segments must be .* 10 views of a clip, got None'
    ):
        check_views(cfg)
    cfg.model.neck.num_segments = 25
    check_views(cfg)


def test_a_pair_of_crop_sizes_is_width_and_height():
    cfg = Config.fromfile(ROOT / 'configs' / 'emim_motionshapes.py')
    crop = ConfigDict(type='CenterCrop', crop_size=(96, 64))
    cfg.test_dataloader.dataset.pipeline.insert(3, crop)
    assert input_shape(cfg)[1:] == (64, 96)
