"""A variable's new value reaches all that was made from it, or is refused."""

import re
import runpy
import sys

import pytest
from mmengine.config import Config

from mmaction_emim.utils.command_line import check_overrides
from mmaction_emim.utils.config_variables import check_variables, copies

from ..configs import FOLDER
from ..conftest import ROOT

SWAP = 'emim/tsm-emim_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb.py'


def fresh(name):
    return Config.fromfile(FOLDER / name)


def count(cfg, key, value):
    """How often a config holds ``value`` under ``key``, by its text."""
    return len(re.findall(rf'\b{key}={re.escape(repr(value))}[,)]', cfg.pretty_text))


@pytest.mark.parametrize('name, value', [('clip_len', 32), ('data_root', 'x'), ('num_classes', 7)])
@pytest.mark.parametrize('config', ['emim_sthv1.py', 'emim_k600.py', 'emim_motionshapes.py'])
def test_an_override_reaches_all_copies(config, name, value):
    cfg = fresh(config)
    old, places = cfg[name], count(cfg, name, cfg[name])
    assert places >= 3
    cfg.merge_from_dict(check_overrides(cfg, {name: value}))
    assert cfg[name] == value
    assert (count(cfg, name, value), count(cfg, name, old)) == (places, 0)


def test_the_size_of_own_clips_reaches_resize_and_crop():
    cfg = fresh('_base_/datasets/own.py')
    cfg.merge_from_dict(check_overrides(cfg, {'size': 96, 'videos': '/clips'}))
    assert '224' not in cfg.pretty_text
    for steps in (cfg.train_pipeline, cfg.train_dataloader.dataset.pipeline):
        assert steps[4].scale == (96, 96)
    for steps in (cfg.test_pipeline, cfg.test_dataloader.dataset.pipeline):
        assert steps[3].scale == (-1, 96) and steps[4].crop_size == 96
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    assert [loader.dataset.data_prefix.video for loader in loaders] == ['/clips'] * 3


def test_a_size_without_effect_is_refused(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{FOLDER / '_base_/datasets/own.py'}'\nsize = 96\n")
    with pytest.raises(ValueError, match='mine.py:2: size = 96 has no effect: no crop_size or'):
        check_variables(Config.fromfile(path))


def test_a_deeper_override_counts_more():
    cfg, key = fresh('emim_sthv2.py'), 'val_dataloader.dataset.data_root'
    cfg.merge_from_dict(check_overrides(cfg, {'data_root': 'x', key: 'y'}))
    roots = [cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')]
    assert roots == ['x', 'y', 'x']


@pytest.mark.parametrize(
    'config, name, instead',
    [
        ('emim_sthv2.py', 'max_epochs', 'train_cfg.max_epochs'),
        (SWAP, 'data_root', 'train_dataloader.dataset.data_prefix.video'),
    ],
)
def test_an_override_without_effect_is_refused(config, name, instead):
    with pytest.raises(ValueError, match=f'{name}: the config has used it already; give {instead}'):
        check_overrides(fresh(config), {name: 3})


@pytest.mark.parametrize('text', ['max_epochs = 3', 'train_pipeline = []'])
def test_any_variable_that_the_base_file_has_used_is_refused(tmp_path, text):
    base, mine = tmp_path / 'base.py', tmp_path / 'mine.py'
    base.write_text(
        'max_epochs = 30\ntrain_cfg = dict(max_epochs=max_epochs)\ntrain_pipeline = [1]\n'
        'train_dataloader = dict(pipeline=train_pipeline)\n'
    )
    mine.write_text(f"_base_ = 'base.py'\n{text}\n")
    with pytest.raises(ValueError, match=r'mine.py:2: \w+ has no effect: the base file has used'):
        check_variables(Config.fromfile(mine))
    mine.write_text(f"_base_ = 'base.py'\n{text}\nmodel = dict(a={text.split()[0]})\n")
    check_variables(Config.fromfile(mine))


def derived(folder, text):
    path = folder / 'mine.py'
    path.write_text(f"_base_ = '{FOLDER / 'emim_sthv2.py'}'\n{text}\n")
    return Config.fromfile(path)


@pytest.mark.parametrize(
    'text, name',
    [
        ('clip_len = 32', 'clip_len'),
        (
            'data_root, batch = "data/mine", 4\ntrain_dataloader = dict(batch_size=batch)',
            'data_root',
        ),
        ('num_classes = 10', 'num_classes'),
    ],
    ids=['clip_len', 'data_root', 'num_classes'],
)
def test_a_config_whose_variable_has_no_effect_is_refused(tmp_path, text, name):
    with pytest.raises(ValueError, match=rf'mine.py:2: {name} = .* has no effect: .*{name} is'):
        check_variables(derived(tmp_path, text))


def test_the_copy_that_a_run_leaves_is_not_refused(tmp_path):
    cfg = fresh('emim_sthv2.py')
    cfg.merge_from_dict({'test_dataloader.dataset.data_root': 'y', 'model.cls_head.num_classes': 7})
    cfg.dump(tmp_path / 'mine.py')
    check_variables(Config.fromfile(tmp_path / 'mine.py'))


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_the_tools_refuse_it(tmp_path, monkeypatch, capsys, tool):
    config = derived(tmp_path, 'clip_len = 32').filename
    monkeypatch.setattr(sys, 'argv', [tool, config, *(['x.pth'] if tool == 'test' else [])])
    monkeypatch.setenv('LOCAL_RANK', '0')  # or upstream's parser sets it for all tests to come
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / f'tools/{tool}.py'), run_name='__main__')
    assert 'clip_len = 32 has no effect' in capsys.readouterr().err.splitlines()[-1]


def test_what_the_documentation_derives(tmp_path):
    text = (ROOT / 'docs/data.md').read_text().split("_base_ = 'emim_sthv2.py'\n")[1]
    cfg = derived(tmp_path, text.split('```')[0])
    base = fresh('emim_sthv2.py')
    check_variables(cfg)
    for name, value in dict(clip_len=32, data_root='data/mine', num_classes=10).items():
        assert cfg[name] == value
        assert copies(cfg, name) == copies(base, name)


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_shipped_configs_pass(path):
    check_variables(Config.fromfile(path))
