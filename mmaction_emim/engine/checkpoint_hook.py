"""``load_from`` takes the authors' checkpoints as they are."""

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmaction_emim.models.checkpoint import by_the_authors, from_authors, weights_of


@HOOKS.register_module()
class ForeignCheckpointHook(Hook):
    """Gives the weights of EMIM's and UniFormer's authors our names before they are loaded.

    A head of another number of classes is dropped, and the log says so. Other checkpoints pass
    untouched.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        weights = weights_of(checkpoint)
        if not by_the_authors(weights):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        own, weights = model.state_dict(), from_authors(weights)
        for name in [name for name in weights if not name.startswith('backbone.')]:
            if name not in own or own[name].shape != weights[name].shape:
                print_log(f'load_from: {name} {tuple(weights[name].shape)} dropped', 'current')
                del weights[name]
        checkpoint.clear()
        checkpoint['state_dict'] = weights
