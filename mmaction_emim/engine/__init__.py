"""Training: parameter groups and hooks, registered in MMAction2's registries."""

from .checkpoint_hook import ForeignCheckpointHook
from .compile_hook import CompileBackboneHook
from .epoch_seed_hook import EpochSeedHook
from .failed_clips_hook import FailedClipsHook
from .param_groups import LayerDecayOptimWrapperConstructor
from .throughput_hook import ThroughputHook

__all__ = [
    'CompileBackboneHook',
    'EpochSeedHook',
    'FailedClipsHook',
    'ForeignCheckpointHook',
    'LayerDecayOptimWrapperConstructor',
    'ThroughputHook',
]
