"""Transforms, registered in MMAction2's ``TRANSFORMS``."""

from .frame_order import FrameOrder
from .rand_augment import RandAugment

__all__ = ['FrameOrder', 'RandAugment']
