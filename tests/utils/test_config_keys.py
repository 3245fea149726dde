"""Keys at the top of a config that nobody reads."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmaction_emim.utils.config_checks import check_config
from mmaction_emim.utils.config_keys import unread
from mmaction_emim.utils.config_variables import check_variables

from ..configs import FOLDER

# As tools/data/own/prepare.py writes it, in its most telling lines.
GENERATED = f"""_base_ = '{FOLDER / '_base_/datasets/own.py'}'
max_epochs = 3  # and lr, seed, batch_size
train_pipeline = [_base_.open_video]
val_pipeline = test_pipeline = [_base_.open_video, *_base_.pack]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
model = dict(backbone=dict(depth=2))
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(custom_keys={{'backbone': 1}}))
param_scheduler = [dict(type='CosineAnnealingLR', end=max_epochs)]
"""


@pytest.fixture
def derived(tmp_path):
    """A config that derives from the generated one, in a folder of a telling name."""

    def derived(text: str, base: str = GENERATED) -> Config:
        folder = tmp_path / 'data'
        folder.mkdir(exist_ok=True)
        (folder / 'amp.py').write_text(base)
        (folder / 'mine.py').write_text(f"_base_ = 'amp.py'\n{text}\n")
        return Config.fromfile(folder / 'mine.py')

    return derived


@pytest.mark.parametrize(
    'text, today',
    [
        ("optimizer = dict(type='SGD', lr=1.0)", 'optim_wrapper.optimizer'),
        ("resume_from = 'x.pth'", 'load_from with resume=True'),
        ('evaluation = dict(interval=1)', 'train_cfg.val_interval, val_evaluator'),
        ("lr_config = dict(policy='step')", 'param_scheduler'),
        ('checkpoint_config = dict(interval=1)', 'default_hooks.checkpoint'),
        ('total_epochs = 50', 'train_cfg.max_epochs'),
        ('fp16 = dict()', "optim_wrapper.type='AmpOptimWrapper', or --amp"),
        ('seed = 1', 'randomness.seed'),
        ('data = dict(videos_per_gpu=1)', 'train_dataloader, val_dataloader'),
    ],
)
def test_a_key_of_mmaction2_before_1_0_has_one_of_today(derived, text, today):
    said = rf'mine.py:2: \w+ is read by nobody since MMAction2 1.0; set {today}'
    with pytest.raises(ValueError, match=said):
        check_config(derived(text))
    check_config(derived(f'{text}\nmodel = dict(x={text.split()[0]})'))


@pytest.mark.parametrize(
    'text, instead',
    [
        ('lr = 1e-3', r'did you mean optim_wrapper.optimizer.lr\?'),
        ('batch_size = 2', 'train_dataloader.batch_size or val_dataloader.batch_size or '),
        ('val_interval = 2', r'did you mean train_cfg.val_interval\?'),
        ('amp = True', 'leave it out, or call it _amp where code of your own reads it'),
        ('backbone = dict(depth=3)', 'did you mean model.backbone or optim_wrapper.paramwise'),
        ('frozen_stages = 2', 'leave it out'),
        ("work_directory = 'x'", 'leave it out'),
        ('env_config = dict()', 'leave it out'),
        ('clip_length = 8', 'leave it out'),
        ('train_loader = dict()', 'leave it out'),
        ("data_root_val = 'x'", 'leave it out'),
    ],
)
def test_what_the_last_file_sets_and_nobody_reads(derived, text, instead):
    with pytest.raises(ValueError, match=f'mine.py:2: {text.split()[0]} is read by .*{instead}'):
        check_config(derived(text))
    check_config(derived(f'{text}\nmodel = dict(x={text.split()[0]})'))


def test_what_a_file_in_the_middle_sets_and_nobody_reads(derived):
    middle = derived('lr = 1e-3').filename
    last = Path(middle).with_name('last.py')
    last.write_text("_base_ = 'mine.py'\n\nload_from = 'x.pth'\n")
    with pytest.raises(ValueError, match=r'mine.py:2: lr is read by nobody; did you mean optim_'):
        check_config(Config.fromfile(last))
    last.write_text("_base_ = 'mine.py'\nwork_dir = f'{_base_.lr}'\n")
    check_config(Config.fromfile(last))
    last.write_text("_base_ = 'mine.py'\n\nlr = 1\n")
    with pytest.raises(ValueError, match=r'last.py:3: lr is read by nobody; did you mean optim_'):
        check_config(Config.fromfile(last))
    derived('train_dataloadr = dict()')
    last.write_text("_base_ = 'mine.py'\n")
    with pytest.raises(ValueError, match=r'mine.py:2: train_dataloadr is .* did you mean train_d'):
        check_config(Config.fromfile(last))


def test_what_a_derived_config_may_set(derived):
    check_config(derived('_note = 1\nuses = 2\nmodel = dict(x=uses)'))
    check_config(derived('ann_file_test = "x"\nval_dataloader = dict(batch_size=1)'))
    cfg = derived('_note = 1')
    check_config(cfg)
    cfg.dump(Path(cfg.filename).with_name('copy.py'))  # as a run leaves it
    check_config(Config.fromfile(Path(cfg.filename).with_name('copy.py')))


@pytest.mark.parametrize('name', ['train_pipeline', 'val_pipeline', 'test_pipeline', 'max_epochs'])
def test_a_variable_of_the_base_file_has_no_effect(derived, name):
    with pytest.raises(ValueError, match=f'mine.py:2: {name} has no effect: the base file has'):
        check_variables(derived(f"{name} = [dict(type='Nonsense')]"))


def test_a_variable_without_effect_in_a_file_in_the_middle(derived):
    middle = Path(derived('max_epochs = 5').filename)
    middle.with_name('last.py').write_text("_base_ = 'mine.py'\n")
    with pytest.raises(ValueError, match='mine.py:2: max_epochs has no effect: the base file has'):
        check_variables(Config.fromfile(middle.with_name('last.py')))
    derived('num_classes = 5')
    with pytest.raises(ValueError, match='mine.py:2: num_classes = 5 has no effect: .* is '):
        check_variables(Config.fromfile(middle.with_name('last.py')))
    derived('clip_len = 8\nval_pipeline = [dict(clip_len=8)]', base='load_from = None\n')
    changed = "_base_ = 'mine.py'\nval_pipeline = [dict(clip_len=16)]\n"
    middle.with_name('last.py').write_text(changed)
    check_variables(Config.fromfile(middle.with_name('last.py')))


def test_a_base_file_of_json(tmp_path):
    (tmp_path / 'base.json').write_text('{"optimizer": {"lr": 1}, "note": 2}')
    (tmp_path / 'mine.py').write_text("_base_ = 'base.json'\nlr = 3\n")
    cfg = Config.fromfile(tmp_path / 'mine.py')
    check_variables(cfg)
    assert not list(unread(cfg))
    (tmp_path / 'mine.py').write_text("_base_ = 'base.json'\nbatch_size = 3\n")
    assert len(list(unread(Config.fromfile(tmp_path / 'mine.py')))) == 1


def test_a_name_in_a_comment_or_a_path_is_not_read(derived):
    check_variables(derived('seed = 3'))
    assert len(list(unread(derived('seed = 3\namp = True\ndata = 1')))) == 3


def test_a_variable_that_the_file_reads_is_none(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('work_dirs = "x"\nwork_dir = work_dirs + "/y"\n')
    assert not list(unread(Config.fromfile(path)))
    path.write_text('work_dirs = "x"\n')
    assert list(unread(Config.fromfile(path)))
    path.write_text('max_epochs = 2\ntrain_cfg = dict(by=max_epochs)\nmax_epoch = 3\n')
    (slip,) = unread(Config.fromfile(path))
    assert slip.endswith('max_epoch is read by nobody; did you mean max_epochs?')
