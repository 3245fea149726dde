"""Ends a training that has become NaN, before it spoils weights or checkpoints."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

# A loss scaler that starts at 2 ** 16 has come down to 1 after 16 steps.
MAX_SKIPPED = 25


@HOOKS.register_module()
class StopAtNaNHook(Hook):
    """Stops before a step whose loss or gradient is not finite, and names clips and first layer.

    The weights are then those of the step before. Gradients are looked at before they are clipped,
    which would spread one NaN to all of them. A step is one of the optimizer, of all its
    ``accumulative_counts`` iterations. With a loss scaler (``--amp`` on a GPU) such steps are
    skipped by the scaler, which is logged; more than ``max_skipped`` in a row stop the training.

    A checkpoint that holds a number that is not finite is not written, so that the last good one
    stays the newest.

    Args:
        max_skipped: Steps in a row that a loss scaler may skip. Defaults to 25.

    Raises:
        FloatingPointError: As above; from the hooks, while training.
    """

    def __init__(self, max_skipped: int = MAX_SKIPPED) -> None:
        self.max_skipped = max_skipped
        self.skipped = 0
        self.bad_loss = False  # since the last step
        self.batch: Mapping[str, Any] = {}
        self.handles: list[Any] = []
        self.step: Callable | None = None  # the optimizer's own

    def before_train(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        wrapper = runner.optim_wrapper
        scaler = getattr(wrapper, 'loss_scaler', None)
        scaled = scaler is not None and scaler.is_enabled()

        def check_losses(module: nn.Module, args: tuple, batch: dict, losses: Any) -> None:
            if not module.training or not isinstance(losses, Mapping):
                return
            self.batch = batch
            if _finite(_tensors(losses)):
                return
            self.bad_loss = True
            if scaled and self.skipped < self.max_skipped:
                return
            layer = first_layer(module, batch)
            raise FloatingPointError(
                f'{_where(runner)}: the loss is not finite; clips: {_clips(batch)}; first layer '
                f'whose output is not finite: {layer}; weights are those of the step before'
            )

        def check_gradients() -> None:
            named = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
            bad_loss, self.bad_loss = self.bad_loss, False
            bad = []
            if not _finite([gradient for _, gradient in named]):
                bad = [name for name, gradient in named if not gradient.isfinite().all()]
            if not bad and not bad_loss:
                self.skipped = 0
                return
            what = f'{len(bad)} of {len(named)} gradients are not finite'
            if bad:
                what += f', nearest to the loss {bad[-1]}'
            if bad_loss:
                what = f'loss not finite, {what}'
            self.skipped += 1
            if scaled and self.skipped <= self.max_skipped:
                then = f'skipped, the loss scale was {scaler.get_scale():g}' if bad else 'taken'
                runner.logger.warning(f'{_where(runner)}: {what}; the step is {then}')
                return
            before = f', after {self.skipped - 1} in a row that were skipped' if scaled else ''
            raise FloatingPointError(
                f'{_where(runner)}: {what}; clips: {_clips(self.batch)}; weights are those of the '
                f'step before{before}'
            )

        self.handles.append(model.register_forward_hook(check_losses, with_kwargs=True))
        if isinstance(wrapper, OptimWrapper):
            step = self.step = wrapper.step

            @wraps(step)  # schedules look for what they have set on it
            def checked_step(**kwargs: Any) -> None:
                check_gradients()
                step(**kwargs)

            wrapper.step = checked_step

    def after_train(self, runner: Runner) -> None:
        if self.step is not None:
            runner.optim_wrapper.step, self.step = self.step, None
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        states = {key: checkpoint.get(key) or {} for key in ('state_dict', 'ema_state_dict')}
        named = [(name, x) for state in states.values() for name, x in state.items()]
        named = [(name, x) for name, x in named if isinstance(x, Tensor) and x.is_floating_point()]
        if _finite([x for _, x in named]):
            return
        bad = [name for name, x in named if not x.isfinite().all()]
        raise FloatingPointError(
            f'{_where(runner)}: {len(bad)} of {len(named)} tensors are not finite, such as '
            f'{bad[0]}: no checkpoint is written, the last one stays the newest'
        )


def first_layer(model: nn.Module, batch: Mapping[str, Any]) -> str:
    """Name and class of the first layer whose output is not finite in one more forward pass.

    Args:
        model: A recognizer.
        batch: What it was called with, by argument.
    """
    found: list[str] = []

    def look(name: str, module: nn.Module, output: Any) -> None:
        if not found and not _finite(_tensors(output)):
            found.append(f'{name} ({type(module).__name__})')

    handles = [
        module.register_forward_hook(lambda m, args, out, name=name: look(name, m, out))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad(), torch.compiler.set_stance('force_eager'):
            model.forward(**batch)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else 'none in a second pass, which drew other random numbers'


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers are finite; one look at the device for all tensors."""
    tensors = [x.detach() for x in tensors if x.is_floating_point() and x.numel()]
    norms = [x.norm().float() for x in tensors]
    if not norms or bool(torch.stack(norms).isfinite().all()):
        return True
    return all(bool(x.isfinite().all()) for x in tensors)  # the norm of finite ones may overflow


def _where(runner: Runner) -> str:
    return f'epoch {runner.epoch + 1}, iteration {runner.iter + 1}'


def _clips(batch: Mapping[str, Any]) -> str:
    samples = batch.get('data_samples') or []
    names = [str(sample.get('video_id', '?')) for sample in samples]
    return ', '.join(dict.fromkeys(names)) or 'unknown'
