from uuid import uuid4

import cv2
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import Dataset

LAYER = 'backbone.blocks3.0.attn'
MODEL = dict(
    type='Recognizer3D',
    backbone=dict(type='EMIMUniFormer', arch='tiny', drop_path_rate=0.2),
    cls_head=dict(type='I3DHead', num_classes=2, in_channels=64, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[110.0] * 3, std=[60.0] * 3, format_shape='NCTHW'
    ),
)


class Clips(Dataset):
    """Noise, drawn by the clip's number."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        inputs = torch.randint(0, 255, (1, 3, 4, 32, 48), generator=generator, dtype=torch.uint8)
        return dict(inputs=inputs, data_samples=ActionDataSample().set_gt_label(index % 2))


@pytest.fixture
def train(tmp_path):
    """Two iterations; the runner afterwards."""

    def run(model=None, **hook):
        init_default_scope('mmaction')
        loader = dict(
            dataset=Clips(), batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler')
        )
        runner = Runner(
            model=ConfigDict(model or MODEL),
            work_dir=str(tmp_path / uuid4().hex),
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=1, val_interval=5),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            val_dataloader={**loader, 'sampler': dict(type='DefaultSampler', shuffle=False)},
            val_cfg=dict(),
            val_evaluator=dict(type='AccMetric'),
            custom_hooks=[dict(type='MotionFieldHook', **hook)] if hook else [],
            visualizer=dict(type='ActionVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
            randomness=dict(seed=0),
            default_scope='mmaction',
            experiment_name=uuid4().hex,
            log_level='ERROR',
        )
        runner.train()
        return runner

    return run


def test_draws_every_n_iterations_and_changes_nothing(train, tmp_path):
    """Left in evaluation mode, or with other random numbers, the second step would differ."""
    plain, drawn = train(), train(interval=1, clip=3, style='colours')
    pictures = sorted(tmp_path.rglob('*.png'))
    assert [path.name for path in pictures] == [f'motion_field_{LAYER}_{i}.png' for i in (1, 2)]
    first, second = (cv2.imread(str(path)) for path in pictures)
    assert first.shape == second.shape and (first != second).any()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, drawn.model.state_dict()[name]), name


def test_an_interval_beyond_the_training_draws_nothing(train, tmp_path):
    train(interval=3)
    assert not list(tmp_path.rglob('*.png'))


@pytest.mark.parametrize(
    'hook, sentence',
    [
        (dict(interval=0), 'interval must be 1 or more, got 0'),
        (dict(style='x'), "style: got 'x'"),
        (dict(clip=4), 'clip must be from 0 to 3, got 4'),
        (dict(interval=1, layer='x'), f"layer: got 'x'; EMIMAttention layers are {LAYER}"),
    ],
    ids=str,
)
def test_refuses(train, hook, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(**hook)


def test_a_network_without_emim_is_refused_before_it_trains(train):
    plain = dict(MODEL, backbone=dict(MODEL['backbone'], alternation='G'))
    with pytest.raises(ValueError, match='none of its layers is EMIMAttention'):
        train(plain, interval=1)
