"""Motion modules put in place of, or before, the layers of a backbone that already exists.

``MotionBackbone`` is imported, with MMAction2, when it is named; the rest needs torch alone.
"""

from typing import Any

__all__ = ['MotionBackbone']


def __getattr__(name: str) -> Any:
    if name != 'MotionBackbone':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from .motion_backbone import MotionBackbone

    return MotionBackbone
