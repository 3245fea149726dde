"""A training that takes a moment: a linear network on a few vectors, by MMEngine's real Runner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

import mmaction_emim.engine  # noqa: F401  registers the hooks


class Vectors(Dataset):
    """Ten vectors; an item adds noise that NumPy draws."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, idx: int) -> dict:
        noise = np.random.randn(4).astype(np.float32)
        return dict(inputs=torch.full((4,), float(idx)) / 10 + torch.from_numpy(noise))


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(4, 8), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear(x).relu())


class Net(BaseModel):
    """A backbone and a head; dropout draws from torch's stream. Inputs are lists of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Linear(8, 1)

    def forward(self, inputs: list[Tensor], mode: str = 'tensor') -> dict[str, Tensor] | Tensor:
        out = self.head(self.backbone(torch.stack(inputs)))
        return dict(loss=(out - 1).square().mean()) if mode == 'loss' else out


def loader(dataset: Dataset, workers: int = 0) -> dict:
    """A shuffling data loader's config, four clips a batch."""
    return dict(
        dataset=dataset,
        batch_size=4,
        num_workers=workers,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
    )


def options(work_dir: Path, epochs: int = 1, **others: Any) -> dict:
    """What a Runner needs beside its hooks; ``others`` are added or take their place."""
    return (
        dict(
            model=Net(),
            work_dir=str(work_dir),
            train_dataloader=loader(Vectors()),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=1),
                checkpoint=dict(type='CheckpointHook', interval=1),
            ),
            randomness=dict(seed=3),
            default_scope='mmaction',
            experiment_name=str(uuid4()),  # MMEngine keeps what it made for a name
        )
        | others
    )


@pytest.fixture
def train(tmp_path) -> Callable[..., Runner]:
    """Trains in a folder of ``tmp_path`` and returns the runner."""

    def train(folder: str = 'work', epochs: int = 1, **others: Any) -> Runner:
        init_default_scope('mmaction')
        torch.manual_seed(0)  # the network's first weights
        runner = Runner(**options(tmp_path / folder, epochs, **others))
        runner.train()
        return runner

    return train


class Numbers(Dataset):
    """``count`` rows of ones; the row ``poisoned`` holds NaN."""

    def __init__(self, count: int, poisoned: int | None = None) -> None:
        self.rows = torch.ones(count, 4)
        if poisoned is not None:
            self.rows[poisoned] = torch.nan

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, idx: int) -> dict:
        sample = ActionDataSample(metainfo=dict(video_id=f'clip_{idx}.mp4'))
        return dict(inputs=self.rows[idx], data_samples=sample)


class Regression(BaseModel):
    """Two layers and the mean square of what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'loss') -> Any:
        x = self.second(self.first(torch.stack(list(inputs))))
        return dict(loss=x.square().mean())


@pytest.fixture
def runner(tmp_path) -> Callable[..., Runner]:
    """Builds a Runner of four epochs of four steps of two rows, in order; arguments replace."""

    def build(
        model: nn.Module | None = None,
        rows: Dataset | None = None,
        kind: type = Runner,
        **more: Any,
    ) -> Runner:
        init_default_scope('mmaction')
        torch.manual_seed(0)
        in_order = dict(batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False))
        arguments = options(
            tmp_path,
            epochs=4,
            model=model or Regression(),
            train_dataloader=loader(rows or Numbers(8)) | in_order,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks={},
        )
        return kind(**(arguments | more))

    return build
