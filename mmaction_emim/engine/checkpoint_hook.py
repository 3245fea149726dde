"""Checkpoints of which, whenever the process dies, a whole one and its name are there."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import all_reduce_params, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmaction_emim.utils.files import write_text

LAST_VALIDATION = 'last_validation'  # in a checkpoint: the iteration of it


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` that deletes an old checkpoint once the new one is written.

    MMEngine deletes first: with ``max_keep_ckpts=1`` a full disk or a killed process then leaves
    none. ``last_checkpoint`` is replaced at once, too.

    A checkpoint is written before the validation of its epoch and, since schedule and best score
    may depend on it, once more after. One that was resumed from before it is validated first.
    Several processes have the same statistics of BatchNorm, their mean, from each checkpoint on.

    Takes the same arguments; overrides MMEngine's private ``_save_checkpoint_with_step`` and
    ``_save_best_checkpoint``, and calls ``_decide_current_val_interval`` of the loops.
    """

    stands: dict = {}  # where the training stands after a validation

    def before_train_epoch(self, runner: Runner) -> None:
        self._validate(runner)

    def after_train(self, runner: Runner) -> None:
        self._validate(runner)  # of the last epoch
        super().after_train(runner)

    def _validate(self, runner: Runner) -> None:
        if _validation_is_due(runner):
            runner.logger.info('the validation that the checkpoint was written before')
            self.last_ckpt = self._path(self._step(runner))  # is written again
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        runner.message_hub.update_info(LAST_VALIDATION, runner.iter)
        self.saved = False
        self.stands = dict(epoch=runner.epoch, iter=runner.iter)
        try:
            super().after_val_epoch(runner, metrics)  # saves where it is the best
            if not getattr(self, 'last_ckpt', None):
                return  # none was saved, or it is a validation without a training
            step = self._step(runner)
            if self.last_ckpt == self._path(step) and not self.saved:
                self._save_checkpoint_with_step(runner, step, dict(self.stands))
        finally:
            self.stands = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        # FlexibleRunner counts one more, whatever it is told: an epoch would be skipped.
        checkpoint['meta'].update(self.stands)

    def _step(self, runner: Runner) -> int:
        return runner.epoch if self.by_epoch else runner.iter

    def _path(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        kept = [number for number in self._kept() if number != step] + [step]
        outdated = kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        if self.max_keep_ckpts > 0:
            kept = kept[len(outdated) :]
            runner.message_hub.update_info('keep_ckpt_ids', kept)  # saved in the checkpoint
        name, last = self.filename_tmpl.format(step), self._path(step)
        runner.message_hub.update_info('last_ckpt', last)
        _share_statistics(runner)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self.last_ckpt, self.saved = last, True
        self.keep_ckpt_ids = deque(kept, maxlen=max(self.max_keep_ckpts, 0) or None)
        if not is_main_process():
            return
        write_text(Path(runner.work_dir) / 'last_checkpoint', last)
        for number in outdated:
            _remove(self.file_backend, self._path(number))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        with self._removing_later():
            super()._save_best_checkpoint(runner, metrics)

    def _kept(self) -> list[int]:
        return list(getattr(self, 'keep_ckpt_ids', ()))

    @contextmanager
    def _removing_later(self) -> Iterator[None]:
        """What is removed meanwhile is, once all is written; after an error nothing is."""
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {getattr(self, 'best_ckpt_path', None), *best}
        for path in later.removed:
            if path not in current:
                _remove(backend, path)


def _share_statistics(runner: Runner) -> None:
    """BatchNorm's are each process's own, and all resume from those of the first one's file."""
    averages = [hook.ema_model for hook in runner.hooks if hasattr(hook, 'ema_model')]
    for model in (runner.model, *averages):
        all_reduce_params(model.buffers(), op='mean')


def _validation_is_due(runner: Runner) -> bool:
    """Whether the loop would have validated where the training stands, and has not."""
    loop = runner.train_loop
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    if runner.val_loop is None or not isinstance(loop, EpochBasedTrainLoop | IterBasedTrainLoop):
        return False
    if runner.iter == 0 or runner.message_hub.runtime_info.get(LAST_VALIDATION) == runner.iter:
        return False
    loop._decide_current_val_interval()
    step, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    return step >= loop.val_begin and (step % loop.val_interval == 0 or step == last)


class _RemovesLater:
    """A file backend that only notes what it should remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    rmtree = remove


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # sharded checkpoints are folders
        backend.rmtree(path)
