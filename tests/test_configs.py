from pathlib import Path

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

FRONT_DOORS = sorted((Path(__file__).parents[1] / 'configs').glob('*.py'))


@pytest.fixture(params=FRONT_DOORS, ids=lambda path: path.stem)
def cfg(request):
    init_default_scope('mmaction')
    return Config.fromfile(request.param)


def test_all_are_here():
    names = 'diving48 k400 k600 motionshapes sthv1 sthv2'.split()
    assert [path.stem for path in FRONT_DOORS] == [f'emim_{name}' for name in names]


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
    from mmaction.registry import DATASETS

    dataset = {**cfg.train_dataloader.dataset, 'data_root': str(tmp_path)}
    with pytest.raises(FileNotFoundError, match='no such annotation list'):
        DATASETS.build(dataset)


def test_the_readmes_neck_in_an_upstream_config(tmp_path):
    readme = (FRONT_DOORS[0].parents[1] / 'README.md').read_text()
    lines = readme.split('## EMIM in a config that you have')[1].splitlines()
    code = [line[4:] for line in lines if line.startswith('    ')]
    assert len(code) <= 5
    (tmp_path / 'mine.py').write_text('\n'.join(code))
    model = MODELS.build(Config.fromfile(tmp_path / 'mine.py').model)
    assert type(model.neck).__name__ == 'EMIMNeck' and model.cls_head.in_channels == 2048
