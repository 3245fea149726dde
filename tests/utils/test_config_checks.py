"""Mistakes in a config that would stay silent; and no word on any config that is right."""

from pathlib import Path

import mmaction
import pytest
from mmaction.datasets import repeat_pseudo_collate
from mmengine.config import Config

from mmaction_emim.utils import config_checks
from mmaction_emim.utils.config_checks import check_config, other_roots

from ..configs import BASES, PATHS, config, path_id

UPSTREAM = Path(mmaction.__file__).parent / '.mim' / 'configs'
# Its training cannot run: the head has 174 classes, mixup 400.
WRONG = {'mvit-large-p244_u40_sthv2-rgb.py'}


def clips(**more) -> dict:
    return dict(dataset=dict(type='CheckedVideoDataset', **more), num_workers=2)


@pytest.mark.parametrize(
    'options, what',
    [
        (dict(train_dataloder=clips()), 'train_dataloder is read by nobody; .* train_dataloader'),
        (dict(optim_wraper=dict()), 'did you mean optim_wrapper'),
        (dict(custom_hook=[]), 'did you mean custom_hooks'),
        (
            dict(train_dataloader=clips(), optim_wrapper=dict(paramwise_cfg=dict(norm_decay=0))),
            'paramwise_cfg: norm_decay is read by nobody; accepted are .* norm_decay_mult',
        ),
        (
            dict(
                optim_wrapper=dict(paramwise_cfg=dict(custom_keys={'head': dict(lr_mul=10)})),
            ),
            r"custom_keys\['head'\]: lr_mul is read by nobody; accepted are lr_mult, decay_mult",
        ),
        (dict(auto_scale_lr=dict(enabled=True)), 'auto_scale_lr: enabled is read by nobody'),
        (
            dict(model=dict(test_cfg=dict(average_clips='prob'))),
            "model.test_cfg: average_clips .* set model.cls_head.average_clips='prob'",
        ),
        (
            dict(sync_bn='torch', launcher='pytorch'),
            "sync_bn='torch': synchronized BatchNorm needs GPUs, and this training is on CPUs",
        ),
        (dict(strategy=dict(sync_bn='mmcv'), launcher='slurm'), "^strategy.sync_bn='mmcv': "),
        (
            dict(val_dataloader=dict(dataset=dict(), num_workers=0, persistent_workers=True)),
            'val_dataloader: persistent_workers=True needs num_workers of 1 or more, got 0',
        ),
        (
            dict(train_dataloader=clips(num_repeats=2)),
            "num_repeats=2 needs collate_fn=dict.type='repeat_pseudo_collate'., got None",
        ),
        (
            dict(
                model=dict(cls_head=dict(num_classes=3)),
                train_dataloader=dict(
                    dataset=dict(type='ConcatDataset', datasets=[dict(num_classes=4)])
                ),
            ),
            'must be one everywhere: model.cls_head.num_classes is 3, '
            'train_dataloader.dataset.num_classes is 4',
        ),
        (
            dict(
                train_dataloader=clips(),
                model=dict(
                    cls_head=dict(num_classes=3),
                    data_preprocessor=dict(blending=dict(augments=[dict(num_classes=5)])),
                ),
            ),
            'blending.augments.0.num_classes is 5',
        ),
    ],
)
def test_a_mistake_is_a_sentence(monkeypatch, options, what):
    monkeypatch.setattr(config_checks, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match=what):
        check_config(Config(options))


SEVERAL = dict(
    model=dict(
        cls_head=dict(num_classes=3, multi_class=True, loss_cls=dict(type='BCELossWithLogits'))
    ),
    train_dataloader=clips(multi_class=True),
    val_dataloader=clips(multi_class=True),
    val_evaluator=dict(type='MultiLabelMetric'),
)


@pytest.mark.parametrize(
    'options, what',
    [
        (
            {'val_dataloader.dataset.multi_class': False},
            'multi_class must be one everywhere: train_dataloader.dataset.multi_class is True, '
            'val_dataloader.dataset.multi_class is False',
        ),
        ({'model.cls_head.multi_class': False}, 'model.cls_head.multi_class is False'),
        ({'model.cls_head.loss_cls': None}, 'CrossEntropyLoss is of one label a clip'),
        ({'model.cls_head.average_clips': 'prob'}, "set average_clips='score'"),
        ({'val_evaluator.type': 'CheckedAccMetric'}, 'val_evaluator: top_k_accuracy is of one'),
        (
            {'val_evaluator': [dict(type='mmaction.ConfusionMatrix')]},
            'val_evaluator: ConfusionMatrix is of one label a clip',
        ),
        (
            {f'{split}_dataloader.dataset.multi_class': False for split in ('train', 'val')},
            'val_evaluator: MultiLabelMetric needs data with multi_class=True, got False',
        ),
    ],
)
def test_several_labels_go_with_what_takes_them(options, what):
    cfg = Config(SEVERAL)
    check_config(cfg)
    cfg.merge_from_dict(options)
    with pytest.raises(ValueError, match=what):
        check_config(cfg)


def test_average_precision_of_upstream_takes_several_labels():
    cfg = Config(SEVERAL)
    cfg.val_evaluator = dict(type='AccMetric', metric_list=('mean_average_precision',))
    check_config(cfg)


def test_a_label_map_of_another_number_of_classes(tmp_path):
    (tmp_path / 'label_map.txt').write_text('\ufeffa\nb\n\n', 'utf-8')
    cfg = Config(
        dict(
            model=dict(cls_head=dict(num_classes=3)),
            test_dataloader=clips(data_root=str(tmp_path)),
        )
    )
    with pytest.raises(ValueError, match='the number of lines of .*label_map.txt is 2'):
        check_config(cfg, ('test_dataloader',))
    check_config(cfg, ('train_dataloader',))


def test_a_collate_function_by_name_scope_or_itself():
    for collate in ('mmaction.repeat_pseudo_collate', repeat_pseudo_collate):
        loader = {**clips(num_repeats=2), 'collate_fn': dict(type=collate)}
        check_config(Config(dict(train_dataloader=loader)))


def test_synchronized_batch_norm_of_one_process_or_on_gpus(monkeypatch):
    check_config(Config(dict(train_dataloader=clips(), sync_bn='torch', launcher='none')))
    monkeypatch.setattr(config_checks, 'get_device', lambda: 'cuda')
    check_config(Config(dict(train_dataloader=clips(), sync_bn='torch', launcher='pytorch')))
    mmcv = Config(dict(train_dataloader=clips(), sync_bn='mmcv', launcher='pytorch'))
    monkeypatch.setattr(config_checks, 'find_spec', lambda name: None)  # as beside mmcv-lite
    with pytest.raises(ValueError, match="sync_bn='mmcv' needs .* which mmcv-lite has not"):
        check_config(mmcv)
    monkeypatch.setattr(config_checks, 'find_spec', lambda name: name == 'mmcv._ext' or None)
    check_config(mmcv)


def test_a_test_takes_keys_that_nobody_reads():
    check_config(Config(dict(optim_wraper=dict())), ('test_dataloader',))


def test_a_root_for_one_of_three_loaders():
    roots = dict(train_dataloader=clips(data_root='data/mine'))
    cfg = Config(roots | dict(val_dataloader=clips(data_root='data/sthv2')))
    assert 'train_dataloader.dataset.data_root is' in next(other_roots(cfg))
    roots = dict(train_dataloader=clips(data_root='data/mine/'))
    assert not list(other_roots(Config(roots | dict(val_dataloader=clips(data_root='data/mine')))))
    roots = dict(train_dataloader=clips(data_root='data/mine/train'))
    assert not list(
        other_roots(Config(roots | dict(val_dataloader=clips(data_root='data/mine/val'))))
    )


@pytest.mark.parametrize('prefix', ['/tmp/other', '../other', 'other'])
def test_a_folder_of_clips_for_one_of_three_loaders(prefix):
    def sentences(**loaders):
        given = {
            f'{name}_dataloader': clips(data_root='data/mine', data_prefix=dict(video=video))
            for name, video in loaders.items()
        }
        return list(other_roots(Config(given)))

    (sentence,) = sentences(train=prefix, val='videos', test='videos')
    assert f'train_dataloader.dataset.data_prefix.video is {prefix!r}, val_data' in sentence
    assert not sentences(train='videos_train/', val='./videos_val', test='videos_test')
    root = clips(data_root='data/mine')
    elsewhere = clips(data_prefix=dict(video='data/mine/videos'))
    same = clips(data_root='data/mine', data_prefix=dict(video='videos'))
    assert not list(other_roots(Config(dict(train_dataloader=root, val_dataloader=same))))
    assert not list(other_roots(Config(dict(train_dataloader=elsewhere, val_dataloader=same))))


@pytest.mark.parametrize('path', [p for p in PATHS if p not in BASES], ids=path_id)
def test_shipped_configs_pass(path):
    check_config(config(path))
    assert not list(other_roots(config(path)))


@pytest.mark.slow
def test_every_config_of_upstream_passes():
    paths = [p for p in UPSTREAM.rglob('*.py') if '_base_' not in p.parts and p.name not in WRONG]
    assert len(paths) > 200
    for path in paths:
        cfg = Config.fromfile(path)
        check_config(cfg)
        assert not list(other_roots(cfg)), path
