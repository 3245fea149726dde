"""Motion modules: functions from video tokens to video tokens, (B, T, H, W, C) -> the same.

Any ``nn.Module`` that keeps the shape of such tokens is one; nothing more is required. It may say
of itself, in its class or in an instance:

- ``includes_input`` (False unless said): the output holds the input already and takes its place,
  as M2A's. Otherwise the output is what a residual branch adds.
- ``over_time_only`` (False unless said): tokens of different positions never meet, as in ATA.
  Such a module replaces attention over time only.
- ``start_as_identity()``: makes the network around the module compute what it would without it.
  An inserted module that has no such method gets a LayerScale of zeros instead.

``MotionBackbone`` gives ``dim`` (C), ``num_heads`` and, where attention is replaced, ``qkv_bias``
and ``proj_drop`` to a constructor that takes them; all other arguments are the config's. Where
attention is replaced, its weights are copied to layers of the names ``qkv`` and ``proj``.

What is listed here is registered in MMAction2's ``MODELS`` and runs in the tests of every family of
backbones; a module of your own needs ``MODELS.register_module()`` and ``custom_imports`` only.
"""

from .ata import AlignmentGuidedTemporalAttention
from .emim import EMIMAttention
from .m2a import MotionAwareAttention
from .motion_squeeze import MotionSqueeze
from .struct_sa import StructuralSelfAttention

__all__ = [
    'AlignmentGuidedTemporalAttention',
    'EMIMAttention',
    'MotionAwareAttention',
    'MotionSqueeze',
    'StructuralSelfAttention',
]
