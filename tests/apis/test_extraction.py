"""Features of two kinds do not get into one folder, wherever the weights of one kind lie."""

import copy
import json

import pytest

from mmaction_emim.apis.extraction import check_settings

BACKBONE = dict(
    type='FrameEncoder',
    encoder='weights/dinov2-base',
    pretrained='a.pth',
    download=False,
    insert=dict(motion=dict(type='EMIMAttention', window=7), where='encoder.layer.1?'),
)
SETTINGS = dict(
    config='a.py',
    backbone_sha256='1',
    network=dict(type='Recognizer3D', backbone=dict(type='Any', inner=BACKBONE)),
    pipelines=[[dict(type='Init'), dict(type='Resize', scale=[224, 224])]],
)


def changed(where, value):
    settings = copy.deepcopy(SETTINGS)
    *path, last = where
    place = settings
    for key in path:
        place = place[key]
    place[last] = value
    return settings


IN = 'network', 'backbone', 'inner'


@pytest.mark.parametrize(
    'where, value',
    [
        ((*IN, 'encoder'), '/elsewhere/dinov2'),
        ((*IN, 'encoder'), 'facebook/dinov2-base'),
        ((*IN, 'pretrained'), 'b.pth'),
        ((*IN, 'download'), True),
        (('config',), 'b.py'),
    ],
    ids=str,
)
def test_where_weights_are_and_names_may_change(where, value, tmp_path):
    (tmp_path / 'maps.json').write_text(json.dumps(SETTINGS))
    check_settings(tmp_path / 'maps.json', changed(where, value))


@pytest.mark.parametrize(
    'where, value, message',
    [
        (
            (*IN, 'insert', 'motion', 'window'),
            9,
            'network.*inner.insert.motion.window was 7, .* 9;',
        ),
        ((*IN, 'pool'), 2, 'network.backbone.inner.pool was not set, now it is 2;'),
        ((*IN, 'encoder'), dict(type='x.Y'), '.*inner.encoder was .*name", now .* "x.Y"}'),
        (
            ('network', 'backbone', 'encoder'),
            'a/b',
            'network.backbone.encoder was not set, now it is "a/b"',
        ),
        (('pipelines', 0, 1, 'scale', 1), 256, 'pipelines.0.1.scale.1 was 224, now it is 256;'),
        (('pipelines', 0), [], r'pipelines.0 was \[\{"type": "Init"\}, .*, now it is \[\];'),
    ],
    ids=str,
)
def test_the_setting_that_differs_is_named(where, value, message, tmp_path):
    (tmp_path / 'maps.json').write_text(json.dumps(SETTINGS))
    with pytest.raises(ValueError, match=f'maps.json: {message}'):
        check_settings(tmp_path / 'maps.json', changed(where, value))
