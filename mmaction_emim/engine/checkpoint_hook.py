"""Checkpoints of which, whenever the process dies, a whole one and its name are there."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, all_reduce_params, get_world_size, is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel

from mmaction_emim.models.weights.fit import network_of
from mmaction_emim.utils.files import write_text

LAST_VALIDATION = 'last_validation'  # in a checkpoint: the iteration of it
GRADIENTS = 'accumulated_gradients'  # in a checkpoint, by name of parameter


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` that deletes an old checkpoint once the new one is written.

    MMEngine deletes first: with ``max_keep_ckpts=1`` a full disk or a killed process then leaves
    none. ``last_checkpoint`` is replaced at once, too.

    A checkpoint is written before the validation of its epoch and, since schedule and best score
    may depend on it, once more after. One that was resumed from before it is validated first.
    Several processes have the same statistics of BatchNorm, their mean, from each checkpoint on.
    One that is made between two steps of accumulated gradients holds these, which MMEngine loses;
    with FSDP it does not.

    Takes the same arguments; overrides MMEngine's private ``_save_checkpoint_with_step`` and
    ``_save_best_checkpoint``, calls ``_decide_current_val_interval`` of the loops, and reads
    ``_resume`` of the runner and the counts of the optimizer's wrapper.

    Raises:
        TypeError: An argument is unknown, which MMEngine says when the first checkpoint is written.
        ValueError: From the hook, ``out_dir`` is no local folder and the backend writes there.
    """

    stands: dict = {}  # where the training stands after a validation
    gradients: dict[str, Tensor] = {}  # of the checkpoint that is resumed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.args:  # nothing that writes checkpoints takes more
            raise TypeError(
                f'{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}'
            )

    def before_train(self, runner: Runner) -> None:
        local = self.backend_args and get_file_backend(backend_args=self.backend_args)
        if '://' in str(self.out_dir) and isinstance(local, LocalBackend):
            raise ValueError(
                f'default_hooks.checkpoint.out_dir={self.out_dir} is no local folder, and '
                f'backend_args={self.backend_args} writes to local ones; set default_hooks.'
                'checkpoint.backend_args=None for the backend of the address'
            )
        super().before_train(runner)
        if self.gradients and _between_steps(runner):
            for name, parameter in network_of(runner.model).named_parameters():
                if name in self.gradients:
                    parameter.grad = self.gradients[name].to(parameter)
            runner.logger.info("resume: gradients that had made no step are the checkpoint's")
            self.gradients = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if getattr(runner, '_resume', False):
            self.gradients = checkpoint.get(GRADIENTS) or {}

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
        if _between_steps(runner):
            named = network_of(runner.model).named_parameters()
            checkpoint[GRADIENTS] = {n: p.grad.cpu() for n, p in named if p.grad is not None}

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
        _share_gradients(runner)
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


def _between_steps(runner: Runner) -> bool:
    """Whether parameters hold gradients of iterations that have not made a step."""
    wrapper = runner.optim_wrapper
    counts = getattr(wrapper, '_accumulative_counts', 1)
    sharded = isinstance(runner.model, FullyShardedDataParallel)
    return counts > 1 and wrapper._inner_count % counts > 0 and not sharded


def _share_gradients(runner: Runner) -> None:
    """Give each process the mean of all, of which the next step takes the mean again."""
    if get_world_size() == 1 or not _between_steps(runner):
        return
    parameters = [p for p in runner.model.parameters() if p.requires_grad]
    there = torch.tensor([p.grad is not None for p in parameters], device=parameters[0].device)
    all_reduce(there := there.to(torch.uint8), 'max')
    shared = [p for p, any_has in zip(parameters, there.tolist(), strict=True) if any_has]
    for parameter in shared:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    all_reduce_params([parameter.grad for parameter in shared], op='mean')


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
