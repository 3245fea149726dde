"""Random draws that depend on what is drawn for, never on what was drawn before.

A clip's are seeded where it is read, in a worker or not, from its place in the order of the run.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

ORDER, CLIP, MODEL = range(3)  # what is drawn for


def seed_streams(kind: int, seed: int, *place: int) -> None:
    """Seed Python's, NumPy's and torch's streams of this process.

    Those of devices are seeded for ``MODEL``, else where CUDA is in use.

    Args:
        kind: ``ORDER``, ``CLIP`` or ``MODEL``.
        seed: The run's.
        place: Two integers of 0 or more, as (epoch, number of the draw).
    """
    state = np.random.SeedSequence((kind, seed, *place)).generate_state(4)
    np.random.seed(state)
    random.seed(state.tobytes())
    torch_seed = int(state[:2].view(np.uint64)[0])
    if kind == MODEL or torch.cuda.is_initialized():
        torch.manual_seed(torch_seed)
    else:  # manual_seed formats the call stack for devices to come: longer than all the rest
        torch.default_generator.manual_seed(torch_seed)


@contextmanager
def kept_streams() -> Iterator[None]:
    """Python's, NumPy's and torch's streams are afterwards as before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class SeededBatch:
    """Indices of a batch; iterated, the streams are seeded before each of them is given.

    DataLoader iterates a batch where it reads its clips, so that no data set needs to know.

    Args:
        indices: As a sampler gives them.
        seed: The run's.
        places: (epoch, number of the draw) of each.
    """

    def __init__(self, indices: Sequence[Any], seed: int, places: list[tuple[int, int]]) -> None:
        self.indices, self.seed, self.places = indices, seed, places

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        for index, place in zip(self.indices, self.places, strict=True):
            seed_streams(CLIP, self.seed, *place)
            yield index


class SeededBatchSampler(Sampler):
    """The batches of another sampler as :class:`SeededBatch`, numbered over all processes.

    The k-th clip of process r of n is number k * n + r of its epoch, so that the draws are the same
    on any number of processes where the order is. What the sampler itself draws is seeded, too.

    Args:
        batches: A batch sampler.
    """

    def __init__(self, batches: Iterable[Sequence[Any]]) -> None:
        self.batches = batches
        self.start(seed=0)

    @property
    def sampler(self) -> Sampler:
        """The sampler of the clips, in which MMEngine sets the epoch."""
        return self.batches.sampler

    def start(self, seed: int, epoch: int = 0) -> None:
        """Count from 0 again. Without it the next pass counts on.

        Args:
            seed: The run's.
            epoch: From 0.
        """
        self.seed, self.epoch, self.count = seed, epoch, 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        rank, processes = get_dist_info()
        batches = iter(self.batches)
        while True:
            seed_streams(ORDER, self.seed, self.epoch, self.count * processes + rank)
            indices = next(batches, None)
            if indices is None:
                return
            numbers = range(self.count, self.count + len(indices))
            self.count += len(indices)
            places = [(self.epoch, number * processes + rank) for number in numbers]
            yield SeededBatch(indices, self.seed, places)
