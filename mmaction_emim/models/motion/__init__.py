"""Motion modules: functions from video tokens to video tokens, (B, T, H, W, C) -> the same.

Each has ``includes_input``: whether its answer takes the place of its input (True) or is a
residual branch's, to be added (False); ``over_time_only``: whether tokens of different places
never meet; and ``start_as_identity()``, after which the network around it computes what it would
without it.
"""

from .ata import AlignmentGuidedTemporalAttention
from .emim import EMIMAttention
from .m2a import MotionAwareAttention

__all__ = [
    'AlignmentGuidedTemporalAttention',
    'EMIMAttention',
    'MotionAwareAttention',
]
