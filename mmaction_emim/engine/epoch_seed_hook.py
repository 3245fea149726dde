"""A resumed run is the run that was never stopped."""

from mmaction.registry import HOOKS
from mmengine.dataset import InfiniteSampler
from mmengine.dist import broadcast_object_list, get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmaction_emim.datasets.draws import MODEL, SeededBatchSampler, seed_streams


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds what training draws from the run's seed and where in the run it is drawn.

    MMEngine's checkpoints hold no state of random numbers, so that a resumed run would draw those
    of its start again. Here a clip's draws depend on seed, epoch and the clip's place in the order
    of the epoch (see :class:`.SeededBatchSampler`), those of the model on seed, iteration and
    process: whatever the data set and the number of workers, and each time a clip is drawn others.

    A training by iterations is one epoch, over all passes through the data. It takes up anywhere,
    but reads the clips again that it had read. A training by epochs takes up at the end of one.
    Sets torch's private ``DataLoader._iterator``.

    Raises:
        ValueError: From the hook, the data loader makes no batches.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        loop, loader = runner.train_loop, runner.train_dataloader
        seeds = [runner.seed]  # another one in each process with randomness.diff_rank_seed
        broadcast_object_list(seeds)
        self.seed = seeds[0]
        if hasattr(loader.sampler, 'seed'):
            loader.sampler.seed = self.seed  # resuming learns it after the sampler drew one
        if loader.batch_sampler is None:
            raise ValueError(
                'EpochSeedHook: train_dataloader.batch_size must be 1 or more, got None'
            )
        if not isinstance(loader.batch_sampler, SeededBatchSampler):
            # DataLoader refuses another batch sampler; it holds for workers that start from now.
            vars(loader)['batch_sampler'] = SeededBatchSampler(loader.batch_sampler)
        loader.batch_sampler.start(self.seed)
        if hasattr(loop, 'dataloader_iterator'):  # IterBasedTrainLoop has begun to read
            if isinstance(loader.sampler, InfiniteSampler):  # and its indices are partly gone
                InfiniteSampler.__init__(
                    loader.sampler, loader.sampler.dataset, loader.sampler.shuffle, self.seed
                )
            iterator = type(loop.dataloader_iterator)
            loop.dataloader_iterator = loader._iterator = None  # ends the workers
            loop.dataloader_iterator = iterator(loader)

    def before_train_epoch(self, runner: Runner) -> None:
        if not hasattr(runner.train_loop, 'dataloader_iterator'):
            runner.train_dataloader.batch_sampler.start(self.seed, runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        seed_streams(MODEL, self.seed, runner.iter, get_rank())
