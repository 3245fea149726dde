"""Models, registered in MMAction2's ``MODELS``; only torch is needed for ``models.motion``."""

from importlib.util import find_spec

if find_spec('mmaction') is not None:
    from mmaction.registry import MODELS

    from . import motion
    from .backbones import EMIMUniFormer
    from .motion import *  # noqa: F403 (what it lists)
    from .necks import EMIMNeck
    from .surgery import MotionBackbone

    __all__ = ['EMIMNeck', 'EMIMUniFormer', 'MotionBackbone', *motion.__all__]

    for name in motion.__all__:
        MODELS.register_module(module=getattr(motion, name), force=True)
