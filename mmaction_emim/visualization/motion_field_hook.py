"""Motion fields of one clip in TensorBoard, and wherever else the visualizer writes."""

import torch
from mmaction.registry import HOOKS
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from mmaction_emim.models.weights.fit import network_of
from mmaction_emim.ops import MotionField

from .motion_field import STYLES, input_frames, motion_field_sheet
from .record import motion_layers, record_motion_fields


@HOOKS.register_module()
class MotionFieldHook(Hook):
    """Draws what EMIM sees in a clip of the validation set, as training goes on.

    In a config::

        custom_hooks = [*_base_.custom_hooks, dict(type='MotionFieldHook', interval=500)]
        visualizer = dict(vis_backends=[dict(type='TensorboardVisBackend')])

    The pictures are named ``motion_field_LAYER``. The network is put into evaluation mode for one
    pass over the clip and no random number is drawn: training goes on as without the hook.

    Args:
        interval: Iterations from one drawing to the next. Defaults to 500.
        clip: The clip's number in the validation set. Defaults to 0.
        layer: Dotted name of the EMIM layer to draw. None (default): all.
        style: See :func:`.draw_motion_field`. Defaults to ``'arrows'``.

    Raises:
        ValueError: An argument is not as above; when training starts, the network has no EMIM
            layer (of this name), the training no validation set, or the network is sharded.
    """

    def __init__(
        self, interval: int = 500, clip: int = 0, layer: str | None = None, style: str = 'arrows'
    ) -> None:
        if interval < 1:
            raise ValueError(f'MotionFieldHook: interval must be 1 or more, got {interval}')
        if style not in STYLES:
            raise ValueError(f'MotionFieldHook: style: got {style!r}; accepted are {STYLES}')
        self.interval = interval
        self.clip = clip
        self.layer = layer
        self.style = style

    def before_train(self, runner: Runner) -> None:
        """Read the clip, once."""
        if is_model_wrapper(runner.model) and not isinstance(runner.model, DistributedDataParallel):
            raise ValueError(
                f'MotionFieldHook: {type(runner.model).__name__} shards the network, which one '
                'process then cannot run; leave the hook out'
            )
        motion_layers(network_of(runner.model))
        if runner.val_loop is None:
            raise ValueError('MotionFieldHook: the config has no val_dataloader to take a clip of')
        dataset = runner.val_loop.dataloader.dataset
        if not 0 <= self.clip < len(dataset):
            raise ValueError(
                f'MotionFieldHook: clip must be from 0 to {len(dataset) - 1}, got {self.clip}'
            )
        self.data = dataset[self.clip]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        if self.every_n_train_iters(runner, self.interval) and is_main_process():
            self.draw(runner)

    @torch.no_grad()
    def draw(self, runner: Runner) -> None:
        """Add the pictures of the current iteration to the visualizer."""
        network = network_of(runner.model)
        training = {module: module.training for module in network.modules()}
        network.eval()
        with record_motion_fields(network, layer=self.layer) as fields:
            network.test_step(pseudo_collate([self.data]))
        for module, was in training.items():
            module.training = was
        for name, field in fields.items():
            frames = input_frames(self.data['inputs'], len(field.displacement))[0]
            first = MotionField(*(part[0] for part in field))
            sheet = motion_field_sheet(frames, first, style=self.style, side=192)
            runner.visualizer.add_image(f'motion_field_{name}', sheet, runner.iter + 1)
