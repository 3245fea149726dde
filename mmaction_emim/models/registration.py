"""Registers our models in MMAction2's ``MODELS``, which imports this file."""

from mmaction.registry import MODELS

from . import backbones, heads, motion, necks  # noqa: F401 (all but motion register themselves)
from .surgery import motion_backbone  # noqa: F401

for name in motion.__all__:
    MODELS.register_module(module=getattr(motion, name), force=True)
