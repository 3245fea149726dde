"""Says when a training has not begun to learn, and what helps."""

from itertools import chain

import numpy as np
from mmaction.models import BaseHead, CrossEntropyLoss
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmaction_emim.models.weights.fit import network_of

from .training_check_hook import labels_of, listed

PATIENCE = 200  # steps past the warm-up
WINDOW = 100  # iterations, of which the mean loss is looked at
NEAR = 0.95  # of the loss of guessing: nothing learned
ADVICE = (
    'this may last for hundreds of steps. In the study of this project what helped was more steps, '
    "EMIM's match_init=True, frames between which objects move about a token, and a lower learning "
    'rate; not compared there: starting from a checkpoint (load_from), such as '
    'demo/emim_motionshapes.pth for the tiny network; see docs/faq.md, '
    '"The loss stays at ln(classes)"'
)


@HOOKS.register_module()
class ChanceLossHook(Hook):
    """Warns once where the loss past the warm-up is still that of guessing.

    Guessing knows how frequent the classes are: with equal ones its cross-entropy is ln(classes),
    with label smoothing and mixup, too. The head's own loss is looked at, once, 200 optimizer steps
    after the warm-up or, of a shorter training, at its end; one of less than 100 iterations says
    too little. Silent where guessing costs something else: other losses than ``CrossEntropyLoss``,
    class weights, several labels a clip.
    """

    def before_train(self, runner: Runner) -> None:
        wrapper = runner.cfg.get('optim_wrapper') or {}
        patience = PATIENCE * wrapper.get('accumulative_counts', 1)
        self.warm_up = warm_up(runner)
        self.look_at = min(self.warm_up + patience, runner.max_iters)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        losses = runner.message_hub.log_scalars.get('train/loss_cls')
        if runner.iter + 1 != self.look_at or self.look_at < WINDOW or losses is None:
            return
        guessing, loss = loss_of_guessing(runner), losses.mean(WINDOW)
        if guessing and loss > NEAR * guessing:
            runner.logger.warning(
                f'after {self.look_at} iterations, of which {min(self.warm_up, self.look_at)} warm '
                f'up, the training loss is {loss:.2f}, and {guessing:.2f} is that of guessing: '
                f'nothing is learned yet; {ADVICE}'
            )


def warm_up(runner: Runner) -> int:
    """Iterations until no scheduler raises the learning rate from a factor any more."""
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):  # of several optimizers
        schedulers = chain(*schedulers.values())
    epoch = len(runner.train_dataloader)
    ends = [
        scheduler.end * (epoch if scheduler.by_epoch else 1)
        for scheduler in schedulers
        if getattr(scheduler, 'start_factor', 1) < getattr(scheduler, 'end_factor', 1)
        or getattr(scheduler, 'factor', 1) < 1
    ]
    return max(ends, default=0)


def loss_of_guessing(runner: Runner) -> float | None:
    """The cross-entropy of answering with the classes' shares; None: not a head to say it of."""
    head = getattr(network_of(runner.model), 'cls_head', None)
    loss = getattr(head, 'loss_cls', None)
    if not isinstance(head, BaseHead) or head.multi_class:
        return None
    if type(loss) is not CrossEntropyLoss or loss.class_weight is not None:
        return None
    labels = [x for part in listed(runner.train_dataloader.dataset) for x in labels_of(part)]
    if not labels:
        return None
    shares = np.bincount(labels, minlength=head.num_classes) / len(labels)
    shares = (1 - head.label_smooth_eps) * shares + head.label_smooth_eps / head.num_classes
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum() * loss.loss_weight)
