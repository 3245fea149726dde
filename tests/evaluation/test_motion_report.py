import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmaction_emim.evaluation.motion_report import Answers, MotionReport, play, report_motion
from mmaction_emim.utils.config_names import read_config

NAMES = ['moving left', 'moving right', 'a ball', 'a hand']


def answers(predicted, labels=(0, 0, 1, 1, 2, 2, 3, 3), failed=()):
    scores = np.eye(4, dtype=np.float32)[list(predicted)]
    return Answers(scores, np.array(labels), np.isin(np.arange(len(scores)), failed))


@pytest.fixture
def report():
    """Left and right are turned around, a ball is known in any order, a hand never."""
    return MotionReport(
        {
            'forward': answers([0, 0, 1, 1, 2, 2, 0, 1]),
            'reversed': answers([1, 1, 0, 0, 2, 2, 0, 1]),
            'shuffled': answers([0, 1, 0, 2, 2, 2, 0, 1], failed=[0]),
        },
        NAMES,
    )


def test_numbers_of_each_order(report):
    assert report.chance == 0.25
    assert [report.top(order, 1) for order in report.answers] == [0.75, 0.25, 0.25]
    assert report.top('forward', 4) == 1 and report.top('shuffled', 4) == 7 / 8
    assert [report.same(order) for order in report.answers] == [1, 0.5, 0.5]
    assert [report.left(order) for order in report.answers] == [1, 0, 0]


def test_classes_that_survive_and_that_turn(report):
    assert report.survivors() == [2]
    assert report.turned() == [(0, 1, 1.0), (1, 0, 1.0)]
    text = report.markdown()
    assert 'Survive shuffling: 1 of 3 classes.' in text
    assert '- moving left -> moving right, its opposite by name: 1.00 of its clips' in text
    assert '| shuffled | 0.250 | 0.250 | 0.00 | 0.500 |' in text and 'top-5' not in text
    text = MotionReport(report.answers, [*NAMES, 'a foot', 'a face']).markdown()
    assert 'top-5' in text and '| shuffled | 0.250 | 0.875 | 0.250 | 0.00 | 0.500 |' in text


def test_nothing_is_left_of_nothing():
    poor = MotionReport({'forward': answers([3, 3, 3, 3, 3, 3, 0, 0])}, NAMES)
    assert np.isnan(poor.left('forward')) and 'Survive' not in poor.markdown()


def test_the_plot(report, tmp_path):
    report.plot(tmp_path / 'x.png')
    with Image.open(tmp_path / 'x.png') as image:
        assert image.size == (1100, 484)


@pytest.mark.parametrize(
    'config',
    [
        'emim_motionshapes',  # has a FrameOrder of its own
        'tsm-m2a_imagenet-pretrained-r50_8xb16-1x1x8-30e_sthv1-rgb',  # folders of frames
        'tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb',  # MMAction2's
        'slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint',  # skeletons
    ],
)
def test_the_order_goes_before_decoding(config):
    cfg = read_config(config)
    before = [step['type'] for step in cfg.test_dataloader.dataset.pipeline]
    played = play(cfg, 'shuffled', seed=3).test_dataloader.dataset.pipeline
    kinds = [step['type'] for step in played]
    where = kinds.index('FrameOrder')
    assert 'Decode' in kinds[where + 1] and kinds.count('FrameOrder') == 1
    assert played[where] == dict(type='FrameOrder', order='shuffled', seed=3)
    assert [kind for kind in kinds if kind != 'FrameOrder'] == [
        kind for kind in before if kind != 'FrameOrder'
    ]
    assert [step['type'] for step in cfg.test_dataloader.dataset.pipeline] == before


def test_what_has_no_frames_has_no_order():
    with pytest.raises(ValueError, match='no step of the test pipeline decodes'):
        play(Config(dict(test_dataloader=dict(dataset=dict(pipeline=[])))), 'reversed')


@pytest.mark.parametrize('orders', [['reversed'], ['forward', 'x']])
def test_refuses_orders(orders):
    with pytest.raises(ValueError, match='orders: forward and others'):
        report_motion(None, Config(), NAMES, orders)
