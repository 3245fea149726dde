"""Whether a training that has not begun to learn is told, on a real head and its real losses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmaction.models.heads import I3DHead
from mmaction.registry import DATASETS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmaction_emim.engine import chance_loss_hook

from .conftest import loader, options

SENTENCE = 'nothing is learned yet'
NOT_OF_THE_HEAD = ('resume', 'load_from', 'accumulate')
BCE = dict(type='BCELossWithLogits')


@DATASETS.register_module(force=True)
class Features(Dataset):
    """Clips of classes 0 to 2; with ``told`` the features say the class, else nothing."""

    pipeline = None

    def __init__(self, labels: list[int], told: bool) -> None:
        self.labels, self.told = labels, told

    def __len__(self) -> int:
        return len(self.labels)

    def get_data_info(self, idx: int) -> dict:
        return dict(label=self.labels[idx])

    def __getitem__(self, idx: int) -> dict:
        label = self.labels[idx]
        x = torch.eye(3)[label] if self.told else torch.zeros(3)
        sample = ActionDataSample().set_gt_label(label)
        return dict(inputs=x[:, None, None, None], data_samples=sample)


@MODELS.register_module(force=True)
class HeadAlone(BaseModel):
    """MMAction2's head alone; an auxiliary loss beside it, as some necks have."""

    def __init__(self, **head: Any) -> None:
        super().__init__()
        self.cls_head = I3DHead(num_classes=3, in_channels=3, dropout_ratio=0, init_std=0, **head)

    def forward(self, inputs: list, data_samples: list, mode: str = 'loss') -> dict:
        if self.cls_head.multi_class:
            for sample in data_samples:
                sample.gt_label = torch.nn.functional.one_hot(sample.gt_label[0], 3).float()
        losses = self.cls_head.loss(torch.stack(list(inputs)), data_samples)
        return dict(loss_aux=losses['loss_cls'].detach() * 0 + 9, **losses)


@pytest.fixture
def warnings(tmp_path, monkeypatch) -> Callable[..., list[str]]:
    """Trains by MMEngine's Runner, 12 steps of which 4 warm up, and returns what was warned of."""
    monkeypatch.setattr(chance_loss_hook, 'PATIENCE', 4)
    monkeypatch.setattr(chance_loss_hook, 'WINDOW', 4)  # an epoch

    def train(
        labels: list[int] = [0, 1, 2] * 4, told: bool = False, epochs: int = 3, **more: Any
    ) -> list[str]:
        init_default_scope('mmaction')
        head = {key: more.pop(key) for key in list(more) if key not in NOT_OF_THE_HEAD}
        sampler = dict(type='DefaultSampler', shuffle=False)
        given = options(
            tmp_path / str(epochs),
            epochs,
            model=dict(type='HeadAlone', **head),
            train_dataloader=loader(dict(type='Features', labels=labels, told=told))
            | dict(batch_size=3, sampler=sampler),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=2.0),
                accumulative_counts=more.pop('accumulate', 1),
            ),
            param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=4, by_epoch=False)],
            custom_hooks=[dict(type='ChanceLossHook')],
            **more,
        )
        Runner.from_cfg(Config(given)).train()
        (log,) = Path(given['work_dir']).rglob('*.log')
        return [line for line in log.read_text().splitlines() if SENTENCE in line]

    return train


def test_said_once_where_nothing_is_learned(warnings):
    (said,) = warnings()
    assert 'after 8 iterations' in said and 'loss is 1.10, and 1.10 is that of guessing' in said
    assert 'match_init=True' in said and 'load_from' in said


def test_silent_where_something_is(warnings):
    assert warnings(told=True) == []


@pytest.mark.parametrize('eps, guessing', [(0.0, '0.57'), (0.3, '0.84')])
def test_to_know_how_frequent_the_classes_are_is_still_guessing(warnings, eps, guessing):
    """Of 12 clips ten are of class 0: the loss is far below ln(3) and nothing is learned."""
    (said,) = warnings([0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0], epochs=9, label_smooth_eps=eps)
    assert f'and {guessing} is that of guessing' in said


def test_label_smoothing_and_a_weight_of_the_loss(warnings):
    loss = dict(type='CrossEntropyLoss', loss_weight=2.0)
    (said,) = warnings(label_smooth_eps=0.1, loss_cls=loss)
    assert 'loss is 2.20, and 2.20 is' in said


@pytest.mark.parametrize(
    'head',
    [
        dict(loss_cls=BCE, multi_class=True),
        dict(loss_cls=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0])),
    ],
    ids=['BCE', 'class weights'],
)
def test_silent_where_guessing_costs_something_else(warnings, head):
    assert warnings(**head) == []


def test_at_the_end_of_a_training_that_is_shorter(warnings):
    (said,) = warnings(epochs=1)
    assert 'after 4 iterations' in said


def test_silent_where_a_training_is_too_short_to_tell(warnings, monkeypatch):
    monkeypatch.setattr(chance_loss_hook, 'WINDOW', 5)
    assert warnings(epochs=1) == []


def test_the_steps_of_an_accumulation_are_counted(warnings):
    (said,) = warnings(epochs=9, accumulate=4)
    assert 'after 20 iterations' in said


def test_not_again_after_resuming(warnings, tmp_path):
    assert len(warnings(epochs=2)) == 1
    assert warnings(epochs=3, resume=True, load_from=str(tmp_path / '2' / 'epoch_2.pth')) == []


def test_warm_up_by_epochs(runner):
    built = runner(
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, end=2),
            dict(type='CosineAnnealingLR', begin=2),
        ]
    )
    built.train()
    assert chance_loss_hook.warm_up(built) == 2 * len(built.train_dataloader) == 8
