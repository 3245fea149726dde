"""Every row of the paper's recipe table, read back from the config that claims it."""

from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from .configs import is_swap

CONFIGS = Path(__file__).parents[1] / 'configs' / 'emim'
GPUS = 8  # the '8x' in a config's name

# data, net, frames: init, epochs, warm-up, lr, batch, drop path, clip grad, test clips
TABLE = {
    'emim-uniformer-small_in1k-pre_8xb4-u16-60e_sthv1-rgb': (
        'small', 16, 'small_in1k', 60, 5, 2e-4, 32, 0.2, 20, 1,
    ),
    'emim-uniformer-small_k400-pre_8xb4-u16-60e_sthv1-rgb': (
        'small', 16, 'small_k400', 60, 5, 2e-4, 32, 0.25, 20, 1,
    ),
    'emim-uniformer-small_k400-pre_8xb4-u16-50e_sthv2-rgb': (
        'small', 16, 'small_k400', 50, 5, 2e-4, 32, 0.3, 20, 1,
    ),
    'emim-uniformer-base_k400-pre_8xb5-u16-50e_sthv2-rgb': (
        'base', 16, 'base_k400', 50, 5, 2.5e-4, 40, 0.4, 20, 1,
    ),
    'emim-uniformer-base_k400-pre_8xb4-u32-60e_sthv1-rgb': (
        'base', 32, 'base_k400', 60, 5, 4e-4, 64, 0.55, 20, 1,
    ),
    'emim-uniformer-base_k400-pre_8xb4-u32-50e_sthv2-rgb': (
        'base', 32, 'base_k400', 50, 5, 8e-4, 128, 0.45, 20, 2,
    ),
    'emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics400-rgb': (
        'small', 16, 'small_in1k', 110, 10, 2e-4, 64, 0.0875, 20, 4,
    ),
    'emim-uniformer-base_in1k-pre_8xb5-16x4x1-110e_kinetics400-rgb': (
        'base', 16, 'base_in1k', 110, 10, 5e-4, 160, 0.3, 5, 4,
    ),
    'emim-uniformer-base_in1k-pre_8xb4-32x4x1-110e_kinetics400-rgb': (
        'base', 32, 'base_in1k', 110, 10, 8e-4, 256, 0.4, 20, 4,
    ),
}  # fmt: skip
COLUMNS = 'arch frames init epochs warmup lr batch drop_path clip_grad clips'.split()
# Ours, or UniFormer with EMIM's recipe: the row whose figures they must have.
FOLLOW = {
    'emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics600-rgb': 6,
    'emim-uniformer-small_k400-pre_8xb4-16x4x1-50e_diving48-rgb': 2,
    'uniformer-small_k400-pre_8xb4-u16-50e_sthv2-rgb': 2,
    'uniformer-small-stride1_k400-pre_8xb4-u16-50e_sthv2-rgb': 2,
    'uniformer-base_k400-pre_8xb5-u16-50e_sthv2-rgb': 3,
    'uniformer-base-stride1_k400-pre_8xb5-u16-50e_sthv2-rgb': 3,
}
ROWS = {**TABLE, **{name: list(TABLE.values())[row] for name, row in FOLLOW.items()}}


@pytest.fixture(params=ROWS, scope='module')
def recipe(request):
    """(config, row of the table)."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(CONFIGS / f'{request.param}.py')
    return cfg, dict(zip(COLUMNS, ROWS[request.param], strict=True))


def step(pipeline, key):
    return next(step for step in pipeline if key in step)


def step_of(pipeline, kind):
    return next(step for step in pipeline if step['type'] == kind)


def test_the_table_is_whole():
    assert {path.stem for path in CONFIGS.glob('*.py') if not is_swap(path)} == set(ROWS)


def test_learning_rate(recipe):
    """As the real schedulers set it, at the first, warm-up's last and the final iteration."""
    cfg, row = recipe
    model = torch.nn.Linear(2, 2)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    per_epoch, rates = 7, []
    schedulers = []
    for scheduler in cfg.param_scheduler:
        kwargs = {k: v for k, v in scheduler.items() if k not in ('type', 'convert_to_iter_based')}
        build = PARAM_SCHEDULERS.get(scheduler['type']).build_iter_from_epoch
        schedulers.append(build(optimizer=optimizer, epoch_length=per_epoch, **kwargs))
    for _ in range(cfg.train_cfg.max_epochs * per_epoch):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert cfg.train_cfg.max_epochs == row['epochs']
    for group in zip(*rates, strict=True):
        assert group[0] == pytest.approx(1e-6)
        assert group[row['warmup'] * per_epoch - 1] == pytest.approx(row['lr'])
        assert max(group) == pytest.approx(row['lr'])
        assert group[-1] == pytest.approx(1e-6, abs=row['lr'] * 1e-4)


def test_optimizer_and_batch(recipe):
    cfg, row = recipe
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.betas, optimizer.weight_decay) == (
        'AdamW',
        (0.9, 0.999),
        0.05,
    )
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=row['clip_grad'])
    assert f'_{GPUS}xb{cfg.train_dataloader.batch_size}-' in cfg.filename
    counts = cfg.optim_wrapper.get('accumulative_counts', 1)
    assert GPUS * cfg.train_dataloader.batch_size * counts == row['batch']
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=row['batch'])


def test_network(recipe):
    cfg, row = recipe
    assert cfg.model.backbone.arch == row['arch']
    init = dict(type='Pretrained', checkpoint=cfg.uniformer_weights[row['init']])
    assert cfg.model.backbone.init_cfg == init
    backbone = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
    blocks = [block for i in '1234' for block in getattr(backbone, f'blocks{i}')]
    for i, block in enumerate(blocks):
        rate = row['drop_path'] * i / (len(blocks) - 1)
        assert getattr(block.drop_path, 'drop_prob', 0.0) == pytest.approx(rate)
    emim = sum(type(block).__name__ == 'EMIMBlock' for block in blocks)
    name = Path(cfg.filename).stem
    assert emim == ({'small': 6, 'base': 14}[row['arch']] if name.startswith('emim') else 0)
    stride = backbone.patch_embed1.proj.stride[0]
    assert stride == (2 if name.startswith('uniformer') and 'stride1' not in name else 1)


def test_frames_views_and_augmentation(recipe):
    cfg, row = recipe
    for loader, clips in (('train', 1), ('val', 1), ('test', row['clips'])):
        pipeline = cfg[f'{loader}_dataloader'].dataset.pipeline
        sampling = step(pipeline, 'clip_len')
        assert (sampling['clip_len'], sampling.get('num_clips', 1)) == (row['frames'], clips)
    assert any(step['type'] == 'ThreeCrop' for step in cfg.test_dataloader.dataset.pipeline)
    train = cfg.train_dataloader.dataset.pipeline
    crop = step(train, 'area_range')
    assert (crop['area_range'], crop['aspect_ratio_range']) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert any(step['type'] == 'Flip' for step in train) == ('kinetics' in cfg.data_root)
    augment = TRANSFORMS.build(step_of(train, 'RandAugment'))
    assert (augment.magnitude, augment.num_layers, augment.magnitude_std) == (7, 4, 0.5)
    assert step_of(train, 'NoiseErasing').erase_prob == 0.25
    assert cfg.train_dataloader.dataset.num_repeats == 2
    assert cfg.train_dataloader.collate_fn.type == 'repeat_pseudo_collate'

    blending = cfg.model.data_preprocessor.blending
    classes = cfg.train_dataloader.dataset.num_classes
    assert blending.type == 'RandomBatchAugment' and 'probs' not in blending  # half and half
    assert [(x['type'], x['alpha'], x['num_classes']) for x in blending.augments] == [
        ('MixupBlending', 0.8, classes),
        ('CutmixBlending', 1.0, classes),
    ]
    head = cfg.model.cls_head
    assert (head.num_classes, head.label_smooth_eps, head.dropout_ratio) == (classes, 0.1, 0.0)
    assert head.average_clips == 'score'
