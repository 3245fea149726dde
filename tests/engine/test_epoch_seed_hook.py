import numpy as np
import pytest
import torch

from mmaction_emim.engine.epoch_seed_hook import epoch_seed

from .conftest import Vectors, loader

HOOK = dict(type='EpochSeedHook')


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


class Seeded(Vectors):
    """Draws as CheckedVideoDataset does, from the seed of the epoch and the clip."""

    def __init__(self):
        self.seed = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __deepcopy__(self, memo):
        return self  # MMEngine copies what it is given; the copy would not be shared

    def set_epoch(self, seed):
        self.seed.fill_(seed)

    def __getitem__(self, idx):
        np.random.seed((int(self.seed), idx))
        return super().__getitem__(idx)


@pytest.mark.parametrize('dataset', [Vectors, Seeded])
def test_resumed_is_as_never_stopped(train, dataset):
    """Order of the clips, their noise and dropout; the seed is the checkpoint's."""
    options = dict(train_dataloader=loader(dataset()), custom_hooks=[HOOK])
    whole = train('whole', 2, **options)
    first = train('halves', 1, **options)
    second = train('halves', 2, **options, resume=True, randomness=dict(seed=None))
    assert second.epoch == 2 and second.seed == 3
    assert not torch.equal(weights(first), weights(second))
    assert torch.equal(weights(whole), weights(second))


@pytest.mark.parametrize('kept', [False, True], ids=['new workers', 'kept workers'])
def test_and_with_any_number_of_workers(train, kept):
    """Kept workers draw nothing from the main process in the second epoch, new ones do."""
    options = dict(custom_hooks=[HOOK])
    alone = train('alone', 2, **options, train_dataloader=loader(Seeded()))
    options['train_dataloader'] = {**loader(Seeded(), workers=2), 'persistent_workers': kept}
    whole = train('whole', 2, **options)
    first = train('halves', 1, **options)
    second = train('halves', 2, **options, resume=True, randomness=dict(seed=None))
    assert torch.equal(weights(alone), weights(whole))
    assert torch.equal(weights(whole), weights(second))
    for runner in (whole, first, second):
        runner.train_dataloader._iterator = None  # the garbage collector waits 5 s for each worker


def test_without_the_hook_it_is_not(train):
    whole = train('whole', 2)
    train('halves', 1)
    assert not torch.equal(weights(whole), weights(train('halves', 2, resume=True)))


def test_epochs_differ_and_seeds_too(train):
    class Seen(Vectors):
        def __init__(self):
            self.seeds, self.first_noise = [], []

        def set_epoch(self, seed):
            self.seeds.append(seed)

        def __getitem__(self, idx):
            item = super().__getitem__(idx)
            self.first_noise.append(item['inputs'][0].item())
            return item

    runs = []
    for seed in (3, 4):
        options = dict(train_dataloader=loader(Seen()), randomness=dict(seed=seed))
        dataset = train(f'{seed}', 3, **options, custom_hooks=[HOOK]).train_dataloader.dataset
        assert dataset.seeds == [epoch_seed(seed, epoch) for epoch in range(3)]
        runs.append(dataset)
    assert len({*runs[0].seeds, *runs[1].seeds}) == 6
    assert len({*runs[0].first_noise, *runs[1].first_noise}) == 60


def test_every_number_counts():
    numbers = [(3, 0, 0), (3, 0, 1), (3, 1, 0), (4, 0, 0), (0, 0, 3)]
    seeds = [epoch_seed(*each) for each in numbers]
    assert seeds == [epoch_seed(*each) for each in numbers]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
