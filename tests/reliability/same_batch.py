"""A hook for test_same_batch.py, in a module of its own: configs import it."""

import json
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from torch import nn


@HOOKS.register_module()
class FrozenBatchNormHook(Hook):
    """Keeps BatchNorm's statistics; writes the loss of each step, the mean of all processes."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in runner.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().double()
        all_reduce(loss, 'mean')
        if is_main_process():
            with open(Path(runner.work_dir) / 'losses.jsonl', 'a') as file:
                file.write(json.dumps(loss.item()) + '\n')
