"""Transforms, registered in MMAction2's ``TRANSFORMS``."""

from mmaction_emim import compat

from .frame_order import FrameOrder
from .rand_augment import RandAugment

compat.apply_to_transforms()

__all__ = ['FrameOrder', 'RandAugment']
