"""Fully sharded data parallel, on machines without an accelerator too."""

from typing import Any

import torch
from mmengine._strategy import FSDPStrategy
from mmengine.model import MMFullyShardedDataParallel
from mmengine.registry import MODEL_WRAPPERS, STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel


@MODEL_WRAPPERS.register_module()
class AnyDeviceFSDP(MMFullyShardedDataParallel):
    """MMEngine's wrapper, told to stay on the CPU where there is nothing else.

    ``FSDPStrategy`` passes the process's number as ``device_id``, which torch takes for that of an
    accelerator.

    Args:
        module: To shard.
        device_id: Of the accelerator; not used where there is none.
        kwargs: As :class:`mmengine.model.MMFullyShardedDataParallel`'s.
    """

    def __init__(
        self, module: nn.Module, device_id: int | torch.device | None = None, **kwargs: Any
    ) -> None:
        if not torch.accelerator.is_available():
            device_id = torch.device('cpu')
        super().__init__(module, device_id=device_id, **kwargs)


@STRATEGIES.register_module()
class ResumableFSDPStrategy(FSDPStrategy):
    """MMEngine's ``FSDPStrategy``, whose ``--resume`` fails since torch 2.1 changed an order."""

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, as this strategy saved it."""
        optimizer = self.optim_wrapper.optimizer
        sharded = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=optimizer, optim_state_dict=state_dict
        )
        self.optim_wrapper.load_state_dict(sharded)
