"""How many clips a second all processes train on, in the log."""

from collections import deque

from mmaction.registry import HOOKS
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs ``clips_per_s``, of the iterations that the logged ``time`` is the mean of.

    Nothing where a Runner has no ``IterTimerHook``, as in MMAction2's ``vis_scheduler``.
    """

    priority = 55  # after IterTimerHook and before LoggerHook

    def before_train(self, runner: Runner) -> None:
        self.clips = deque(maxlen=runner.log_processor.window_size)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        if 'train/time' not in runner.message_hub.log_scalars:
            return
        self.clips.append(len(data_batch['inputs']) * get_world_size())
        seconds = runner.message_hub.get_scalar('train/time').mean(len(self.clips))
        clips = sum(self.clips) / len(self.clips)
        runner.message_hub.update_scalar('train/clips_per_s', clips / seconds)
