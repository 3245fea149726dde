"""Training: parameter groups and hooks, registered in MMAction2's registries."""

from .param_groups import LayerDecayOptimWrapperConstructor

__all__ = ['LayerDecayOptimWrapperConstructor']
