import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader, WeightedRandomSampler

from .conftest import Vectors, loader

HOOK = dict(type='EpochSeedHook')
WORKERS = pytest.mark.parametrize(
    'workers',
    [
        dict(num_workers=0),
        dict(num_workers=2),
        dict(num_workers=2, persistent_workers=True),
    ],
    ids=['no workers', 'new workers', 'kept workers'],
)


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """MMEngine waits two seconds between passes of a training by iterations."""
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)


@pytest.fixture
def train(train):
    def run(*args, **options):
        runner = train(*args, **options)
        runner.train_dataloader._iterator = None  # the garbage collector waits 5 s for each worker
        if hasattr(runner.train_loop, 'dataloader_iterator'):
            runner.train_loop.dataloader_iterator = None
        return runner

    return run


@WORKERS
def test_resumed_is_as_never_stopped(train, workers):
    """Order of the clips, their noise and dropout; the seed is the checkpoint's."""
    alone = train('alone', 2, custom_hooks=[HOOK])
    options = dict(train_dataloader=loader(Vectors()) | workers, custom_hooks=[HOOK])
    first = train('halves', 1, **options)
    second = train('halves', 2, **options, resume=True, randomness=dict(seed=None))
    assert second.epoch == 2 and second.seed == 3
    assert not torch.equal(weights(first), weights(second))
    assert torch.equal(weights(alone), weights(second))


def by_iterations(steps, sampler='InfiniteSampler', **workers):
    """Of three steps a pass."""
    sampler = dict(type=sampler, shuffle=True)
    return dict(
        train_dataloader=loader(Vectors()) | workers | dict(sampler=sampler),
        train_cfg=dict(by_epoch=False, max_iters=steps, val_interval=100),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)),
        log_processor=dict(by_epoch=False),
        custom_hooks=[HOOK],
    )


@WORKERS
@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_by_iterations_from_any_checkpoint(train, workers, sampler):
    alone = train('alone', **by_iterations(8, sampler))
    first = train('halves', **by_iterations(5, sampler, **workers))
    options = by_iterations(8, sampler, **workers)
    second = train('halves', **options, resume=True, randomness=dict(seed=None))
    assert second.iter == 8 and second.seed == 3
    assert not torch.equal(weights(first), weights(second))
    assert torch.equal(weights(alone), weights(second))


def test_without_the_hook_it_is_not(train):
    whole = train('whole', 2)
    train('halves', 1)
    assert not torch.equal(weights(whole), weights(train('halves', 2, resume=True)))


class Clips(BaseDataset):
    """Ten clips, the last of a rare class; notes what is drawn for them."""

    def __deepcopy__(self, memo):
        return self  # MMEngine copies what it is given

    def load_data_list(self):
        self.drawn = []
        return [dict(label=int(i == 9)) for i in range(10)]

    def get_cat_ids(self, idx):
        return [self.get_data_info(idx)['label']]

    def prepare_data(self, idx):
        noise = torch.from_numpy(np.random.randn(4).astype(np.float32))
        self.drawn.append((idx, noise[0].item()))
        return dict(inputs=noise)


LOADERS = {
    'as it is': lambda clips: dict(dataset=clips),
    'repeated': lambda clips: dict(dataset=RepeatDataset(clips, 2)),
    'twice in one': lambda clips: dict(dataset=ConcatDataset([clips, clips])),
    'rare class oversampled': lambda clips: dict(dataset=ClassBalancedDataset(clips, 0.9)),
    'weighted': lambda clips: dict(
        dataset=clips, sampler=WeightedRandomSampler([1.0] * 9 + [9.0], 20)
    ),
}


@pytest.mark.parametrize('name', LOADERS)
@pytest.mark.parametrize('by_epoch', [True, False], ids=['epochs', 'iterations'])
def test_a_clip_is_drawn_in_another_way_each_time(train, name, by_epoch):
    clips = Clips()
    options = dict(custom_hooks=[HOOK]) if by_epoch else by_iterations(12)
    options['train_dataloader'] = loader(clips) | LOADERS[name](clips)
    train(epochs=3, **options)
    assert len(clips.drawn) >= 30
    assert len({noise for _, noise in clips.drawn}) == len(clips.drawn)
    assert len({idx for idx, _ in clips.drawn}) < len(clips.drawn) / 2


def test_seeds_differ(train):
    runs = [train(f'{seed}', custom_hooks=[HOOK], randomness=dict(seed=seed)) for seed in (3, 4)]
    assert not torch.equal(*map(weights, runs))


def test_refuses_a_loader_without_batches(train):
    with pytest.raises(ValueError, match='train_dataloader.batch_size must be 1 or more, got None'):
        train(train_dataloader=DataLoader(Vectors(), batch_size=None), custom_hooks=[HOOK])
