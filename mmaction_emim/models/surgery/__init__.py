"""Motion modules put in place of, or before, the layers of a backbone that already exists."""

from .motion_backbone import MotionBackbone

__all__ = ['MotionBackbone']
