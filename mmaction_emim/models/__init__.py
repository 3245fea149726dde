"""Models, registered in MMAction2's ``MODELS``; only torch is needed for ``models.motion``."""

from importlib.util import find_spec

if find_spec('mmaction') is not None:
    from mmaction.registry import MODELS

    from mmaction_emim import compat

    from .backbones import EMIMUniFormer
    from .motion import EMIMAttention
    from .necks import EMIMNeck

    __all__ = ['EMIMAttention', 'EMIMNeck', 'EMIMUniFormer']

    MODELS.register_module(module=EMIMAttention, force=True)
    compat.apply_to_models()
