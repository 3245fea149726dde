"""Models, registered in MMAction2's ``MODELS``; only torch is needed for ``models.motion``."""

from importlib.util import find_spec

if find_spec('mmaction') is not None:
    from mmaction.registry import MODELS

    from .backbones import EMIMUniFormer
    from .motion import (
        AlignmentGuidedTemporalAttention,
        EMIMAttention,
        MotionAwareAttention,
    )
    from .necks import EMIMNeck
    from .surgery import MotionBackbone

    __all__ = [
        'AlignmentGuidedTemporalAttention',
        'EMIMAttention',
        'EMIMNeck',
        'EMIMUniFormer',
        'MotionAwareAttention',
        'MotionBackbone',
    ]

    for module in (
        AlignmentGuidedTemporalAttention,
        EMIMAttention,
        MotionAwareAttention,
    ):
        MODELS.register_module(module=module, force=True)
