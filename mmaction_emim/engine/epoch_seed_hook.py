"""A resumed run is the run that was never stopped."""

import random

import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every training epoch from the run's seed, the epoch and the rank.

    MMEngine's checkpoints hold no state of random numbers, so that a resumed run would draw those
    of the first epoch again. Datasets with ``set_epoch`` (ours) also get the seed: their draws then
    depend on seed, epoch and clip alone, whatever the number of workers.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Runner) -> None:
        self._seed(runner)
        loader = runner.train_dataloader
        if hasattr(loader.dataset, 'set_epoch'):
            loader.dataset.set_epoch(epoch_seed(runner.seed, runner.epoch))
        if hasattr(loader.sampler, 'seed'):
            loader.sampler.seed = runner.seed  # resuming learns the seed after the sampler drew one

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        if batch_idx == 0:
            self._seed(runner)  # again: new workers draw from the main process, kept ones do not

    def _seed(self, runner: Runner) -> None:
        seed = epoch_seed(runner.seed, runner.epoch, get_rank())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


def epoch_seed(*numbers: int) -> int:
    """32 bits that depend on every number."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
