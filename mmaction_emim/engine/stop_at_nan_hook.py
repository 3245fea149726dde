"""Ends a training that has become NaN, before it spoils weights or checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

# A loss scaler that starts at 2 ** 16 has come down to 1 after 16 steps.
MAX_SKIPPED = 25


@HOOKS.register_module()
class StopAtNaNHook(Hook):
    """Stops before a step whose loss or gradient is not finite, and names clips and first layer.

    The weights are then those of the step before. With a loss scaler (``--amp`` on a GPU) such
    steps are skipped by the scaler, which is logged; more than ``max_skipped`` in a row stop the
    training. A checkpoint that holds a number that is not finite is not written, so that the last
    good one stays the newest.

    Args:
        max_skipped: Steps in a row that a loss scaler may skip. Defaults to 25.

    Raises:
        FloatingPointError: As above; from the hooks, while training.
    """

    def __init__(self, max_skipped: int = MAX_SKIPPED) -> None:
        self.max_skipped = max_skipped
        self.skipped = 0
        self.batch: Mapping[str, Any] = {}
        self.handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        scaled = scaler is not None and scaler.is_enabled()

        def check_losses(module: nn.Module, args: tuple, batch: dict, losses: Any) -> None:
            if not module.training or not isinstance(losses, Mapping):
                return
            self.batch = batch
            if _finite(_tensors(losses)):
                self.skipped = 0
                return
            self.skipped += 1
            if scaled and self.skipped <= self.max_skipped:
                runner.logger.warning(f'{_where(runner)}: loss not finite, the step is skipped')
                return
            layer = first_layer(module, batch)
            raise FloatingPointError(
                f'{_where(runner)}: the loss is not finite; clips: {_clips(batch)}; first layer '
                f'whose output is not finite: {layer}; weights are those of the step before'
            )

        def check_gradients(optimizer: torch.optim.Optimizer, *args: Any) -> None:
            named = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
            if _finite([gradient for _, gradient in named]):
                return
            bad = [name for name, gradient in named if not gradient.isfinite().all()]
            raise FloatingPointError(
                f'{_where(runner)}: {len(bad)} of {len(named)} gradients are not finite, nearest '
                f'to the loss {bad[-1]}; clips: {_clips(self.batch)}; weights are those of the '
                'step before'
            )

        self.handles.append(model.register_forward_hook(check_losses, with_kwargs=True))
        # A loss scaler does not step with such gradients: this is reached without one.
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
        if optimizer is not None:
            self.handles.append(optimizer.register_step_pre_hook(check_gradients))

    def after_train(self, runner: Runner) -> None:
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


def _finite(tensors: Any) -> bool:
    """Whether all numbers are finite; one look at the device for all tensors."""
    norms = [x.detach().norm() for x in tensors if x.is_floating_point() and x.numel()]
    norms = [norm.float() for norm in norms]
    return not norms or bool(torch.stack(norms).isfinite().all())


def _where(runner: Runner) -> str:
    return f'epoch {runner.epoch + 1}, iteration {runner.iter + 1}'


def _clips(batch: Mapping[str, Any]) -> str:
    samples = batch.get('data_samples') or []
    names = [str(sample.get('video_id', '?')) for sample in samples]
    return ', '.join(dict.fromkeys(names)) or 'unknown'
