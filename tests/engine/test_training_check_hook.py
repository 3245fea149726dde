"""What is said before the first step of a training, on real clips."""

import logging
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from ..configs import FOLDER
from ..datasets.numbered_clips import write
from .conftest import options

SIZES = [(64, 48), (64, 48), (48, 64), (64, 48)]
TINY = dict(
    type='Recognizer3D',
    backbone=dict(type='EMIMUniFormer', arch='tiny', spatial_stride=2),
    cls_head=dict(type='I3DHead', num_classes=2, in_channels=64, topk=(1,), average_clips='prob'),
    data_preprocessor=dict(type='ActionDataPreprocessor', format_shape='NCTHW', mean=[0], std=[1]),
)
HEAD = [
    dict(type='CheckedVideoInit'),
    dict(type='UniformSample', clip_len=4),
    dict(type='DecordDecode'),
]
RESIZE = [dict(type='Resize', scale=(32, 32), keep_ratio=False)]
PACK = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]


@pytest.fixture(scope='module')
def clips(tmp_path_factory) -> Path:
    """Four clips of 41 frames at 25 frames a second, the third upright."""
    folder = tmp_path_factory.mktemp('clips')
    for i, size in enumerate(SIZES):
        write(folder / f'{i}.mp4', frames=41, size=size)
    return folder


@pytest.fixture
def trained(clips, tmp_path, caplog) -> Callable[..., str]:
    """Trains an epoch on clips 0, 1 …, with a label each; returns the log.

    Validates and tests on others, without a resize but where the last batch is dropped.
    """

    root = tmp_path / 'data'

    def loader(split: str, labels: list[int], resize: list, batch: int) -> dict:
        listed = ''.join(f'{i}.mp4 {x}\n' for i, x in enumerate(labels))
        (root / f'{split}.txt').write_text(listed)
        return dict(
            batch_size=batch,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='CheckedVideoDataset',
                data_root=str(root),
                data_prefix=dict(video=str(clips)),
                ann_file=f'{split}.txt',
                pipeline=[*HEAD, *resize, *PACK],
                test_mode=split != 'train',
            ),
        )

    def train(
        labels: list[int],
        resize: list = RESIZE,
        batch: int = 2,
        names: str = '',
        val: list[int] = (),
        test: list[int] = (),
        model: Any = TINY,
        drops: bool = False,
        **more: Any,
    ) -> str:
        root.mkdir()
        if names:
            (root / 'label_map.txt').write_text(names)
        given = options(
            tmp_path / 'work',
            model=model,
            train_dataloader=loader('train', labels, resize, batch) | more,
            custom_hooks=[dict(type='TrainingCheckHook')],
        )
        for split, held_out in dict(val=val, test=test).items():
            if held_out:
                held_out = loader(split, held_out, resize if drops else [], batch)
                given[f'{split}_dataloader'] = held_out | dict(drop_last=drops)
                given |= {f'{split}_evaluator': dict(type='CheckedAccMetric'), f'{split}_cfg': {}}
        with caplog.at_level(logging.INFO):
            runner = Runner.from_cfg(Config(given)) if model is TINY else Runner(**given)
            runner.train()
            if test:
                runner.test()
        return next((tmp_path / 'work').rglob('*.log')).read_text()

    return train


def test_the_view_and_the_clips_of_each_class(trained):
    shuffled = dict(sampler=dict(type='DefaultSampler', shuffle=True))
    log = trained([0, 1, 1, 1], names='clap\njump\n', **shuffled)
    assert 'training view: 4 x 32 x 32 (T x H x W), frames 0.' in log
    apart = float(re.search(r'frames ([0-9.]+) s apart', log)[1])
    assert 0.25 < apart < 0.55  # 41 frames in 4 parts at 25 a second: 0.4 s
    assert 'data: 4 training clips; clips a class: clap 1, jump 3' in log
    assert 'WARNING - train' not in log


def test_a_line_each_of_model_steps_and_device(trained):
    log = trained([0, 1, 1, 1])
    assert re.search(r'model: EMIMUniFormer, I3DHead; 1\d\d,\d{3} parameters, all trained\n', log)
    assert 'steps: 2 of 2 clips, 1 epoch of 2\n' in log
    assert re.search(r'device: (cpu, \d+ threads? a process|cuda, .*); float32\n', log)


def test_many_classes_are_summed_up(trained, monkeypatch):
    monkeypatch.setattr('mmaction_emim.engine.training_check_hook.MOST_CLASSES', 1)
    assert 'clips a class: 1 (0) to 3 (1), median 2' in trained([0, 1, 1, 1])


def test_a_class_without_a_clip_and_a_set_smaller_than_a_batch(trained):
    log = trained([1, 1], batch=3)
    assert 'train_dataloader: no clip of 1 of 2 classes: 0' in log
    assert 'train_dataloader: 2 clips are fewer than batch_size=3' in log


def test_clips_that_are_not_shuffled_or_left_out_of_the_score(trained):
    log = trained([0, 1], val=[0, 1, 1], test=[0, 1, 1], drops=True)
    assert 'WARNING - train_dataloader.sampler: shuffle=False: clips are trained on in' in log
    assert 'val_dataloader: drop_last=True leaves 1 of 3 clips out of the score' in log
    assert 'test_dataloader: drop_last=True leaves 1 of 3 clips out of the score' in log


def test_clips_of_several_sizes_are_refused(trained):
    with pytest.raises(ValueError, match='several sizes, such as 48 x 64 and 64 x 48, .* black'):
        trained([0, 1, 1, 1], resize=[])


def test_alone_in_a_batch_they_are_not(trained):
    assert 'padded' not in trained([0, 1, 1, 1], resize=[], batch=1)


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """An entry for each time the weights changed."""
    from mmengine.optim import OptimWrapper

    taken, original = [], OptimWrapper.step
    monkeypatch.setattr(OptimWrapper, 'step', lambda *a, **k: (taken.append(1), original(*a, **k)))
    return taken


def test_a_padded_batch_of_rare_sizes_ends_before_its_step(trained, monkeypatch, steps):
    """The third of four clips, alone in its size, is none of those that are looked at."""
    monkeypatch.setattr('mmaction_emim.engine.training_check_hook.LOOKED_AT', 2)
    said = (
        r'train_dataloader: a batch has clips of several shapes, 2.mp4 \(1, 3, 4, 64, 48\) and '
        r'3.mp4 \(1, 3, 4, 48, 64\), .* with black; end the pipeline with a crop'
    )
    with pytest.raises(ValueError, match=said):
        trained([0, 1, 1, 1], resize=[])
    assert len(steps) == 1


def test_sizes_of_validation_are_refused_before_the_first_step(trained, steps):
    said = 'val_dataloader: clips of several sizes, such as 48 x 64 and 64 x 48, .* with black'
    with pytest.raises(ValueError, match=said):
        trained([0, 1], val=[0, 1, 1, 1])
    assert not steps


@pytest.mark.parametrize('split', ['val', 'test'])
def test_a_padded_batch_of_validation_and_test(trained, monkeypatch, split):
    monkeypatch.setattr('mmaction_emim.engine.training_check_hook.LOOKED_AT', 2)
    said = f'{split}_dataloader: a batch has clips of several shapes, 2.mp4 .* and 3.mp4 '
    with pytest.raises(ValueError, match=said):
        trained([0, 1], **{split: [0, 1, 1, 1]})


def test_a_network_with_a_preprocessor_of_its_own_may_take_several_sizes(trained, monkeypatch):
    from mmengine.model import BaseDataPreprocessor, BaseModel

    class Sums(BaseModel):
        def __init__(self):
            super().__init__(data_preprocessor=BaseDataPreprocessor())
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, inputs, data_samples=None, mode='tensor'):
            return dict(loss=sum(self.scale * x.float().mean() for x in inputs))

    assert 'Checkpoints will be saved' in trained([0, 1, 1, 1], resize=[], model=Sums())


def test_no_step_at_all_is_refused(trained):
    with pytest.raises(ValueError, match='2 clips make no batch of 4 with drop_last=True; set'):
        trained([0, 1], batch=4, drop_last=True)


def test_a_label_without_an_output_is_refused(trained):
    with pytest.raises(ValueError, match='label 2 is in the list, and .*num_classes=2 has labels'):
        trained([0, 1, 2])


def test_what_check_config_refuses_does_not_train(trained):
    with pytest.raises(ValueError, match='the number of lines of .*label_map.txt is 3'):
        trained([0, 1], names='a\nb\nc\n')


def test_the_streams_of_random_numbers_are_as_before(trained, monkeypatch):
    from mmaction_emim.engine import TrainingCheckHook

    drawn = []

    def around(hook, *args):
        random.seed(3), np.random.seed(3), torch.manual_seed(3)
        original(hook, *args)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
        random.seed(3), np.random.seed(3), torch.manual_seed(3)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))

    original = TrainingCheckHook._check_views
    monkeypatch.setattr(TrainingCheckHook, '_check_views', around)
    trained([0, 1, 1, 1])
    assert drawn[0] == drawn[1]


def test_shipped_configs_have_the_hook():
    cfg = Config.fromfile(FOLDER / '_base_' / 'default_runtime.py')
    assert dict(type='TrainingCheckHook') in cfg.custom_hooks
