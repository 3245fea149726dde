"""Folders of feature maps: names, damage, and files that want to run code."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.registry import DATASETS
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.feature_maps import FeatureMaps, map_file

SHAPE = (2, 1, 4, 8, 3, 5)  # draws, crops, T, C, H, W


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / 'train'
    (place / 'a').mkdir(parents=True)
    (place / 'maps.json').write_text(json.dumps(dict(shape=SHAPE, dtype='float16')))
    rng = np.random.default_rng(0)
    for name in ('a/1.mp4', 'b c.webm'):
        np.save(place / f'{name}.npy', rng.normal(size=SHAPE).astype(np.float16))
    (tmp_path / 'train.txt').write_text('a/1.mp4 0\nb c.webm 1\n')
    return place


def dataset(folder: Path, **options):
    init_default_scope('mmaction')
    options = dict(ann_file='train.txt', data_prefix=dict(maps='train')) | options
    return DATASETS.build(dict(type='FeatureMapDataset', data_root=str(folder.parent), **options))


def test_shapes_for_networks_on_clips_and_on_frames(folder):
    stored = np.load(folder / 'b c.webm.npy')
    inputs = dataset(folder, test_mode=True)[1]['inputs'].numpy()
    assert inputs.dtype == np.float16
    np.testing.assert_array_equal(inputs, stored[0].transpose(0, 2, 1, 3, 4))
    frames = [dict(type='LoadFeatureMap', input_format='NCHW'), dict(type='PackActionInputs')]
    inputs = dataset(folder, test_mode=True, pipeline=frames)[1]['inputs'].numpy()
    np.testing.assert_array_equal(inputs, stored[0, 0])


@pytest.mark.parametrize(
    'options, error, message',
    [
        (dict(grid=(4, 3, 3)), ValueError, r'grid \(T, H, W\) of \(4, 3, 5\).*grid=\(4, 3, 3\)'),
        (dict(num_repeats=2), TypeError, 'num_repeats has no effect'),
        (dict(data_prefix=dict(video='x')), ValueError, r'data_prefix must be dict\(maps='),
        (dict(data_prefix=dict(maps='val')), FileNotFoundError, 'val/maps.json: no feature maps'),
        (dict(ann_file='val.txt'), FileNotFoundError, 'no such annotation list'),
        (dict(pipeline=[dict(type='LoadFeatureMap', input_format='x')]), ValueError, "got 'x'"),
    ],
    ids=str,
)
def test_refuses(folder, options, error, message):
    with pytest.raises(error, match=message):
        dataset(folder, **options)


@pytest.mark.parametrize(
    'about, message',
    [
        ('{', 'not JSON'),
        ('[' * 100_000, 'not JSON'),
        ('[]', 'expected a JSON object, got list'),
        ('{"shape": [1, 2], "dtype": "float16"}', 'shape must be six numbers'),
        ('{"shape": [1, 1, 1, 1, 1, 1e9], "dtype": "float16"}', 'shape must be six numbers'),
        ('{"shape": [1, 1, 1, 1, 1, -1], "dtype": "float16"}', 'shape must be six numbers'),
        ('{"shape": [1, 1, 1, 1, 1, 1], "dtype": "object"}', 'dtype must be float16 or float32'),
    ],
    ids=lambda text: text[:40],
)
def test_refuses_a_damaged_description(folder, about, message):
    (folder / 'maps.json').write_text(about)
    with pytest.raises(ValueError, match=message):
        FeatureMaps(folder)


def test_a_file_that_wants_to_run_code_does_not(folder, tmp_path):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / 'ran',)

    np.save(folder / 'a/1.mp4.npy', np.array([Touch()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='damaged, or no maps'):
        FeatureMaps(folder).read('a/1.mp4')
    (folder / 'a/1.mp4.npy').write_bytes(pickle.dumps(Touch()))
    with pytest.raises(ValueError, match='damaged, or no maps'):
        FeatureMaps(folder).read('a/1.mp4')
    assert not (tmp_path / 'ran').exists()


def test_refuses_other_files(folder):
    maps = FeatureMaps(folder)
    for shape, dtype in ((SHAPE, 'f4'), (SHAPE[1:], 'f2'), (SHAPE[::-1], 'f2')):
        np.save(folder / 'a/1.mp4.npy', np.zeros(shape, dtype))
        with pytest.raises(ValueError, match=r'no maps \(2, 1, 4, 8, 3, 5\) float16, as maps.json'):
            maps.read('a/1.mp4')
    np.save(folder / 'a/1.mp4.npy', np.zeros(SHAPE, np.float16))
    whole = (folder / 'a/1.mp4.npy').read_bytes()
    for damaged in (whole[:-2], whole + b'00'):
        (folder / 'a/1.mp4.npy').write_bytes(damaged)
        with pytest.raises(ValueError, match='damaged, or no maps'):
            maps.read('a/1.mp4')
    with pytest.raises(ValueError, match='draw must be 0 to 1, got 2'):
        maps.read('b c.webm', 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_changes_numbers_only(data):
    whole = Path(DAMAGED / 'train' / 'x.npy')
    content = bytearray(GOOD)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, 127))  # the header
        content[at] = data.draw(st.integers(0, 255))
    whole.write_bytes(content)
    try:
        read = FeatureMaps(whole.parent).read('x')
    except (ValueError, OSError):
        return
    assert read.shape == SHAPE[1:] and read.dtype == np.float16


@pytest.fixture(scope='module', autouse=True)
def damaged(tmp_path_factory):
    global DAMAGED, GOOD
    DAMAGED = tmp_path_factory.mktemp('damaged')
    (DAMAGED / 'train').mkdir()
    (DAMAGED / 'train' / 'maps.json').write_text(json.dumps(dict(shape=SHAPE, dtype='float16')))
    np.save(DAMAGED / 'train' / 'x.npy', np.ones(SHAPE, np.float16))
    GOOD = (DAMAGED / 'train' / 'x.npy').read_bytes()


@pytest.mark.parametrize('name', ['/a/b', '../a', 'a/../../b', './a', 'a//b', 'a%2Fb', '..', '.'])
def test_no_name_leads_out_of_the_folder(name):
    assert '/' not in map_file(name)


def test_names_stay_apart():
    names = ['a/b', 'a%2Fb', '/a/b', './a/b', 'a//b', 'a/b.npy', 'a b']
    assert len({map_file(name) for name in names}) == len(names)
    assert map_file('a b/c.mp4') == 'a b/c.mp4.npy'
