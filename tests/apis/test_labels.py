import pytest
from mmengine.config import Config

from mmaction_emim.apis.labels import class_names


@pytest.fixture
def config(tmp_path):
    dataset = dict(type='CheckedVideoDataset', data_root=str(tmp_path), pipeline=[])
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def test_nobody_knows(config):
    assert class_names(config, 2) is None


def test_who_goes_first(config, tmp_path):
    (tmp_path / 'classes.txt').write_text('folder a\nfolder b\n')
    assert class_names(config, 2) == ['folder a', 'folder b']
    (tmp_path / 'own.txt').write_text('metric a\nmetric b\n')
    config.test_evaluator = [dict(type='AccMetric'), dict(label_map=str(tmp_path / 'own.txt'))]
    assert class_names(config, 2) == ['metric a', 'metric b']
    meta = dict(classes=('trained a', 'trained b'))
    assert class_names(config, 2, dataset_meta=meta) == ['trained a', 'trained b']
    assert class_names(config, 2, ['x', 'y'], meta) == ['x', 'y']
    assert class_names(config, 2, tmp_path / 'classes.txt', meta) == ['folder a', 'folder b']


@pytest.mark.parametrize('meta', [dict(classes=5), dict(classes=[1, 2]), {}])
def test_a_checkpoint_that_says_nothing_sensible(config, meta):
    assert class_names(config, 2, dataset_meta=meta) is None


def test_other_numbers_of_names(config, tmp_path):
    (tmp_path / 'label_map.txt').write_text('a\nb\nc\n')
    assert class_names(config, 2) is None
    with pytest.raises(ValueError, match='label_map.txt: 3 names, but the network has 2'):
        class_names(config, 2, tmp_path / 'label_map.txt')
    with pytest.raises(FileNotFoundError):
        class_names(config, 2, tmp_path / 'none.txt')
