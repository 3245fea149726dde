"""Lists the clips that failed, in the working folder."""

from collections.abc import Iterator
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class FailedClipsHook(Hook):
    """Writes ``failed_clips_{train,val,test}.txt``, a path a line, after each epoch.

    Of all processes, since the start of the run; no file where no clip failed. The causes are in
    the log. For the datasets that note what failed, as ``CheckedVideoDataset`` does, and those
    inside of ``ConcatDataset``, ``RepeatDataset`` and the like.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        self._report(runner, runner.train_dataloader.dataset, 'train')

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self._report(runner, runner.val_dataloader.dataset, 'val')

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self._report(runner, runner.test_dataloader.dataset, 'test')

    def _report(self, runner: Runner, dataset: torch.utils.data.Dataset, split: str) -> None:
        paths = []
        for each in dict.fromkeys(_noting(dataset)):
            failed = each.failed.to(torch.uint8)
            all_reduce(failed, 'max')
            paths += [each.path(idx) for idx in failed.nonzero().flatten().tolist()]
        if paths:
            self._write(runner, Path(runner.work_dir) / f'failed_clips_{split}.txt', paths)

    @master_only
    def _write(self, runner: Runner, file: Path, paths: list[str]) -> None:
        file.write_text(''.join(f'{path}\n' for path in paths), encoding='utf-8')
        runner.logger.warning(f'{len(paths)} clips failed: {file}')


def _noting(dataset: torch.utils.data.Dataset) -> Iterator[torch.utils.data.Dataset]:
    """The datasets that note what failed, in what wraps them."""
    if hasattr(dataset, 'failed'):
        yield dataset
    for inner in [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from _noting(inner)
