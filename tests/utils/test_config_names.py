import pytest
from mmengine.config import Config

from mmaction_emim.utils.config_names import find_config, read_config


@pytest.mark.parametrize(
    'name, file',
    [
        ('emim_sthv2', 'configs/emim_sthv2.py'),
        (
            'tsn-m2a_imagenet-pretrained-r18_8xb16-1x1x8-30e_sthv1-rgb',
            'configs/m2a/tsn-m2a_imagenet-pretrained-r18_8xb16-1x1x8-30e_sthv1-rgb.py',
        ),
        ('configs/emim_k400.py', 'configs/emim_k400.py'),
    ],
)
def test_ours(root, monkeypatch, name, file):
    monkeypatch.chdir(root)
    assert find_config(name).resolve() == root / file


def test_of_mmaction2():
    path = find_config('tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb')
    assert 'mmaction' in path.parts and path.parent.name == 'tsn'


def test_what_is_not_there():
    with pytest.raises(
        ValueError, match="'emim_sthv3' is no config file .* did you mean emim_sthv"
    ):
        find_config('emim_sthv3')
    for name in ('configs/none.py', 'none.py', 'a/none'):
        with pytest.raises(FileNotFoundError, match='no such config file'):
            find_config(name)
    with pytest.raises(ValueError, match='is no config file'):
        find_config('default_runtime')  # a part of configs, in _base_


def test_a_config_that_is_given_stays_as_it_is(root):
    given = Config(dict(x=dict(y=1)))
    read_config(given).x.y = 2
    assert given.x.y == 1
    assert read_config(root / 'configs' / 'emim_k400.py').num_classes == 400
    with pytest.raises(TypeError, match='a file, a name or a Config is needed'):
        read_config(None)


def test_a_variable_without_effect_is_refused_whoever_reads_the_config(root, tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(f"_base_ = '{root}/configs/emim_motionshapes.py'\ndata_root = 'mine'\n")
    with pytest.raises(ValueError, match=r"mine.py:2: data_root = 'mine' has no effect"):
        read_config(config)


def test_tools_read_configs_in_one_way(root):
    tools = [path for path in (root / 'tools').rglob('*.py') if path.name != 'zoo.py']
    assert [path for path in tools if 'Config.fromfile(' in path.read_text()] == []
