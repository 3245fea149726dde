"""Training: parameter groups and hooks, registered in MMAction2's registries."""

from .atomic_backend import AtomicLocalBackend
from .authors_checkpoint_hook import AuthorsCheckpointHook
from .chance_loss_hook import ChanceLossHook
from .checkpoint_hook import DurableCheckpointHook
from .compile_hook import CompileBackboneHook
from .epoch_seed_hook import EpochSeedHook
from .failed_clips_hook import FailedClipsHook
from .fsdp import AnyDeviceFSDP, ResumableFSDPStrategy
from .param_groups import LayerDecayOptimWrapperConstructor
from .same_training_hook import SameTrainingHook
from .stop_at_nan_hook import StopAtNaNHook
from .throughput_hook import ThroughputHook
from .training_check_hook import TrainingCheckHook

__all__ = [
    'AnyDeviceFSDP',
    'AtomicLocalBackend',
    'AuthorsCheckpointHook',
    'ChanceLossHook',
    'CompileBackboneHook',
    'DurableCheckpointHook',
    'EpochSeedHook',
    'FailedClipsHook',
    'LayerDecayOptimWrapperConstructor',
    'ResumableFSDPStrategy',
    'SameTrainingHook',
    'StopAtNaNHook',
    'ThroughputHook',
    'TrainingCheckHook',
]
