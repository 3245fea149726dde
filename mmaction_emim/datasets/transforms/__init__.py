"""Transforms, registered in MMAction2's ``TRANSFORMS``."""

from .frame_order import FrameOrder

__all__ = ['FrameOrder']
