"""``load_from`` takes the authors' checkpoints as they are."""

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmaction_emim.models.weights.authors import adapt_checkpoint


@HOOKS.register_module(name=['AuthorsCheckpointHook', 'ForeignCheckpointHook'])
class AuthorsCheckpointHook(Hook):
    """Gives the weights of EMIM's and UniFormer's authors our names before they are loaded.

    A head of another number of classes is dropped, and the log says so. Other checkpoints pass
    untouched. ``ForeignCheckpointHook`` is its former name.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for weight in adapt_checkpoint(checkpoint, model):
            print_log(f'load_from: {weight} dropped', 'current')
