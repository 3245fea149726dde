"""Fully sharded data parallel, on machines without an accelerator too.

Derives from ``mmengine._strategy``, which MMEngine keeps private and has no other door to.
"""

import warnings
from functools import partial
from typing import Any

import torch
from mmengine._strategy import FSDPStrategy
from mmengine.model import MMFullyShardedDataParallel
from mmengine.optim import BaseOptimWrapper
from mmengine.registry import MODEL_WRAPPERS, STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel


@MODEL_WRAPPERS.register_module()
class AnyDeviceFSDP(MMFullyShardedDataParallel):
    """MMEngine's wrapper, which stays on the CPU where there is no accelerator.

    ``FSDPStrategy`` passes the process's number as ``device_id``, which torch takes for that of an
    accelerator.

    Shards have one dimension: ``module.whole_ndims`` says how many each parameter has, by name.

    Args:
        module: To shard.
        device_id: Index of the accelerator; not used where there is none.
        kwargs: As :class:`mmengine.model.MMFullyShardedDataParallel`'s.
    """

    def __init__(
        self, module: nn.Module, device_id: int | torch.device | None = None, **kwargs: Any
    ) -> None:
        if not torch.accelerator.is_available():
            device_id = torch.device('cpu')
        module.whole_ndims = {name: p.ndim for name, p in module.named_parameters()}
        for parameter in module.parameters():
            # Of other layouts, channels_last, torch loads the optimizer's state in a wrong order.
            parameter.data = parameter.data.contiguous()
        super().__init__(module, device_id=device_id, **kwargs)


@STRATEGIES.register_module()
class ResumableFSDPStrategy(FSDPStrategy):
    """MMEngine's ``FSDPStrategy``, mended where ``--resume`` or clipping does another thing.

    Args:
        kwargs: As :class:`mmengine._strategy.FSDPStrategy`'s.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not torch.accelerator.is_available():
            # "Offloaded" from CPU to CPU, all states of the optimizer are views of one buffer.
            self.optim_state_dict_config.offload_to_cpu = False

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> BaseOptimWrapper:
        """As built by MMEngine, but that a gradient's norm is that of all shards together."""
        wrapper = super().build_optim_wrapper(*args, **kwargs)
        if getattr(wrapper, 'clip_func', None) is nn.utils.clip_grad_norm_:
            wrapper._clip_grad = partial(self._clip_grad, wrapper)
        return wrapper

    def _clip_grad(self, wrapper: BaseOptimWrapper) -> None:
        """MMEngine's asks nothing of a process whose shard has no gradient; the others wait."""
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Called FSDP.clip_grad_norm_.* no gradients')
            norm = self.model.clip_grad_norm_(**wrapper.clip_grad_kwargs)
        wrapper.message_hub.update_scalar(f'train/{wrapper.grad_name}', float(norm))

    def optim_state_dict(self) -> dict:
        """The optimizer's state and, which FSDP leaves out, the wrapper's own."""
        return {**self.optim_wrapper.state_dict(), **super().optim_state_dict()}

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, as this strategy saved it."""
        # MMEngine gives these by position, in an order that torch no longer has.
        sharded = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict
        )
        self.optim_wrapper.load_state_dict({**state_dict, **sharded})
