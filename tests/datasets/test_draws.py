import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_rank
from torch import multiprocessing
from torch.utils.data import BatchSampler, DataLoader, Dataset, WeightedRandomSampler

from mmaction_emim.datasets.draws import CLIP, MODEL, ORDER, SeededBatchSampler, seed_streams


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


class Drawn(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, idx):
        return idx, *draws()


def read(batches, **options):
    """(clip, its three draws) of a pass, in order."""
    loader = DataLoader(Drawn(), batch_sampler=batches, collate_fn=list, **options)
    return [clip for batch in loader for clip in batch]


def in_order():
    return SeededBatchSampler(BatchSampler(range(10), 4, drop_last=False))


def test_every_number_and_what_is_drawn_for_count():
    places = [(CLIP, 3, 0, 0), (CLIP, 3, 0, 1), (CLIP, 3, 1, 0), (CLIP, 4, 0, 0), (ORDER, 3, 0, 0)]
    places += [(CLIP, 2**32 + 3, 0, 0)]
    seen = []
    for place in places + places:
        seed_streams(*place)
        seen += [draws()]
    assert seen[: len(places)] == seen[len(places) :]
    assert len({x for each in seen for x in each}) == 3 * len(places)


@pytest.mark.parametrize('kind', [ORDER, CLIP, MODEL])
def test_torch_draws_as_after_manual_seed(kind):
    state = np.random.SeedSequence((kind, 3, 1, 2)).generate_state(4)
    torch.manual_seed(int(state[:2].view(np.uint64)[0]))
    expected = torch.get_rng_state()
    seed_streams(kind, 3, 1, 2)
    assert torch.equal(torch.get_rng_state(), expected)


@pytest.mark.parametrize('workers', [0, 1, 3])
def test_a_clips_draws_depend_on_its_place_alone(workers):
    expected = read(in_order())
    np.random.seed(workers)
    assert read(in_order(), num_workers=workers) == expected
    assert [clip[0] for clip in expected] == list(range(10))
    assert len({x for clip in expected for x in clip[1:]}) == 30


def test_passes_count_on_until_started_again():
    batches = in_order()
    batches.start(seed=5)
    first, second = read(batches), read(batches)
    batches.start(seed=5)
    again = read(batches)
    batches.start(seed=5, epoch=1)
    assert again == first
    assert len({clip[1:] for clip in [*first, *second, *read(batches)]}) == 30


def test_what_a_sampler_draws_is_seeded_too():
    weighted = BatchSampler(WeightedRandomSampler([1.0] * 10, 12), 4, drop_last=False)
    batches = SeededBatchSampler(weighted)
    torch.manual_seed(0)
    expected = read(batches)
    batches.start(seed=0)
    torch.manual_seed(1)
    assert read(batches) == expected


def test_sending_a_batch_to_a_worker_draws_nothing():
    batch = next(iter(in_order()))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert len(pickle.loads(pickle.dumps(batch))) == 4
    assert torch.equal(torch.get_rng_state(), before)


def read_share(_, group, folder):
    rank = int(multiprocessing.current_process().name)
    torch.distributed.init_process_group('gloo', group, None, 2, rank)
    sampler = DefaultSampler(range(10), seed=7)
    batches = SeededBatchSampler(BatchSampler(sampler, 2, drop_last=False))
    torch.save(read(batches), folder / f'{get_rank()}')
    torch.distributed.barrier()  # who ends too early breaks the other's connection


def test_two_processes_draw_what_one_does(tmp_path):
    sampler = DefaultSampler(range(10), seed=7)
    expected = read(SeededBatchSampler(BatchSampler(sampler, 4, drop_last=False)))
    processes = [
        multiprocessing.get_context('fork').Process(
            target=read_share, name=str(rank), args=(None, f'file://{tmp_path}/group', tmp_path)
        )
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    shares = [torch.load(tmp_path / str(rank), weights_only=True) for rank in range(2)]
    assert [clip for pair in zip(*shares, strict=True) for clip in pair] == expected
