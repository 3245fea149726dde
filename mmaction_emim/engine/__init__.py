"""Training: parameter groups and hooks, registered in MMAction2's registries."""

from .checkpoint_hook import ForeignCheckpointHook
from .param_groups import LayerDecayOptimWrapperConstructor

__all__ = ['ForeignCheckpointHook', 'LayerDecayOptimWrapperConstructor']
