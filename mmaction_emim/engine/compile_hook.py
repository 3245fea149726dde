"""``torch.compile`` of the backbone, by config."""

from typing import Any

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


@HOOKS.register_module()
class CompileBackboneHook(Hook):
    """Compiles the recognizer's backbone in place; names in checkpoints do not change.

    MMEngine's own ``compile`` option traces the whole training step, optimizer and all, which
    torch 2.13 cannot.

    Args:
        **options: :func:`torch.compile`'s: ``backend``, ``mode``, ``fullgraph``, ``dynamic``.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def before_run(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.backbone.compile(**self.options)
