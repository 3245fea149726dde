"""Models: ``models.motion`` on torch alone, the others on MMAction2, imported when they are named.

MMAction2's ``MODELS`` imports :mod:`.registration` when it first looks something up.
"""

from importlib import import_module
from typing import Any

from . import motion
from .motion import *  # noqa: F403 (what it lists)

_ON_MMACTION2 = {
    'AttentiveHead': 'heads',
    'EMIMNeck': 'necks',
    'EMIMUniFormer': 'backbones',
    'FeatureMapBackbone': 'backbones',
    'FrameEncoder': 'backbones',
    'MotionBackbone': 'surgery',
    'MotionNeck': 'necks',
    'VideoEncoder': 'backbones',
}
__all__ = [*_ON_MMACTION2, *motion.__all__]


def __getattr__(name: str) -> Any:
    if name not in _ON_MMACTION2:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_ON_MMACTION2[name]}', __name__), name)
