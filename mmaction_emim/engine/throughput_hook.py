"""How many clips a second all processes train on, in the log."""

from mmaction.registry import HOOKS
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs ``clips_per_s``, from the time that MMEngine measured between two iterations.

    Nothing where a Runner has no ``IterTimerHook``, as in MMAction2's ``vis_scheduler``.
    """

    priority = 55  # after IterTimerHook and before LoggerHook

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        if 'train/time' not in runner.message_hub.log_scalars:
            return
        seconds = runner.message_hub.get_scalar('train/time').current()
        clips = len(data_batch['inputs']) * get_world_size()
        runner.message_hub.update_scalar('train/clips_per_s', clips / seconds)
