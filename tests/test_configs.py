import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmaction_emim.datasets.checked import CheckedDatasetMixin
from mmaction_emim.engine.safety_hooks import add_safety_hooks

from .configs import BASES, COLLECTIONS, FOLDER, PATHS, config, is_swap, path_id

SHORT_NAMES = sorted(FOLDER.glob('*.py'))
LOADERS = ('train', 'val', 'test')


def values(tree: Any, key: str) -> Iterator[Any]:
    """Every plain value that a config has under ``key``, below the top."""
    for child in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(child, dict) and key in child:
            yield child[key]
        if isinstance(child, (dict, list, tuple)):
            yield from values(child, key)


def without_scope(pipeline: list[dict]) -> list[dict]:
    """MMEngine marks top-level variables, but not loaders, with the package that they come from."""
    return [{key: value for key, value in step.items() if key != '_scope_'} for step in pipeline]


@pytest.mark.parametrize('path', PATHS, ids=path_id)
def test_a_loader_has_the_pipeline_that_the_top_names(path):
    cfg = config(path)
    for split in LOADERS:
        if f'{split}_pipeline' in cfg:
            pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
            assert without_scope(pipeline) == without_scope(cfg[f'{split}_pipeline']), split


@pytest.mark.parametrize('path', PATHS, ids=path_id)
def test_a_variable_at_the_top_is_what_is_used(path):
    cfg = config(path)
    for key in ('clip_len', 'frame_interval', 'num_classes', 'data_root'):
        if key in cfg:
            used = set(values(cfg.to_dict(), key))
            # MMAction2 calls data_root what the loaders call data_prefix.
            assert used == {cfg[key]} or not used and 'mmaction::' in cfg.text, key


@pytest.mark.parametrize('folder', COLLECTIONS, ids=lambda folder: folder.name)
def test_the_text_says_what_is_swapped(folder):
    """As ``is_swap`` reads it."""
    for path in folder.glob('*.py'):
        assert is_swap(path) == (config(path).model.backbone.type == 'MotionBackbone'), path.stem


def hooks(cfg):
    """The types of the custom hooks, and the default ones that guard a training."""
    checkpoint, resume = cfg.default_hooks['checkpoint'], cfg.default_hooks['resume']
    kept = checkpoint['type'], checkpoint['backend_args'], resume['type']
    return [hook['type'] for hook in cfg.custom_hooks], kept


def test_every_config_trains_with_the_hooks_of_one_file():
    different = {}  # sets of hooks, each with a config that has it
    for path in (path for path in PATHS if path not in BASES):
        cfg = config(path)
        different[str((cfg.get('default_hooks'), cfg.get('custom_hooks')))] = cfg
    lacked = []
    for cfg in map(copy.deepcopy, different.values()):
        lacked += [bool(add_safety_hooks(cfg))]
        assert hooks(cfg) == hooks(config(FOLDER / '_base_/default_runtime.py'))
        assert not add_safety_hooks(cfg)
    assert {*lacked} == {False, True}


def test_one_file_says_how_clips_are_opened_and_decoded():
    opens = re.compile(r'(Decord|PyAV|OpenCV|Video)(Init|Decode)\b')
    found = [path for path in PATHS if opens.search(path.read_text())]
    assert found == [FOLDER / '_base_/datasets/video_reader.py']


@pytest.mark.parametrize('path', [p for p in BASES if p.parent.name == 'datasets'], ids=path_id)
def test_our_data_are_checked(path):
    cfg = config(path)
    for split in LOADERS:
        if f'{split}_dataloader' in cfg:
            dataset = DATASETS.get(cfg[f'{split}_dataloader'].dataset.type)
            assert issubclass(dataset, CheckedDatasetMixin)
            metric = 'MultiLabelMetric' if 'multi_label' in path.stem else 'CheckedAccMetric'
            assert split == 'train' or cfg[f'{split}_evaluator'].type == metric


def test_the_former_file_of_data_and_schedule_is_both():
    both = config(FOLDER / '_base_/schedules/finetune_kinetics400.py')
    data = config(FOLDER / '_base_/datasets/kinetics400_train_val.py')
    schedule = config(FOLDER / '_base_/schedules/adamw_30e.py')
    assert both.to_dict() == {**data.to_dict(), **schedule.to_dict()}


@pytest.fixture(params=SHORT_NAMES, ids=lambda path: path.stem)
def cfg(request):
    init_default_scope('mmaction')
    return Config.fromfile(request.param)


def test_all_are_here():
    names = 'diving48 k400 k600 motionshapes sthv1 sthv2'.split()
    assert [path.stem for path in SHORT_NAMES] == [f'emim_{name}' for name in names]


def test_model_and_schedule_build(cfg, tmp_path):
    model = MODELS.build(cfg.model)
    classes = {loader.dataset.num_classes for loader in (cfg.train_dataloader, cfg.test_dataloader)}
    assert classes == {model.cls_head.num_classes}
    cfg.work_dir, cfg.log_level = str(tmp_path), 'ERROR'
    runner = Runner.from_cfg(cfg)
    optimizer = runner.build_optim_wrapper(cfg.optim_wrapper).optimizer
    decay = {p: group['weight_decay'] for group in optimizer.param_groups for p in group['params']}
    for name, parameter in runner.model.named_parameters():
        expected = 0.0 if parameter.ndim == 1 or name.endswith('.rpb') else 0.05
        assert decay[parameter] == expected, name


def test_pipelines_build_and_only_kinetics_flips(cfg):
    from mmengine.dataset import Compose

    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        Compose(loader.dataset.pipeline)
    flips = any(step.type == 'Flip' for step in cfg.train_dataloader.dataset.pipeline)
    assert flips == ('kinetics' in cfg.data_root)


def test_missing_data_is_one_clear_sentence(cfg, tmp_path):
    dataset = {**cfg.train_dataloader.dataset, 'data_root': str(tmp_path)}
    with pytest.raises(FileNotFoundError, match='no such annotation list'):
        DATASETS.build(dataset)


def test_the_readmes_neck_in_an_upstream_config(tmp_path):
    readme = (SHORT_NAMES[0].parents[1] / 'README.md').read_text()
    lines = readme.split('## EMIM in a config that you have')[1].splitlines()
    code = [line[4:] for line in lines if line.startswith('    ')]
    assert len(code) <= 5
    (tmp_path / 'mine.py').write_text('\n'.join(code))
    model = MODELS.build(Config.fromfile(tmp_path / 'mine.py').model)
    assert type(model.neck).__name__ == 'EMIMNeck' and model.cls_head.in_channels == 2048
