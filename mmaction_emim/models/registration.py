"""Registers our models in MMAction2's ``MODELS``, which imports this file."""

from mmaction.registry import MODELS

from . import backbones, motion, necks, surgery  # noqa: F401 (all but motion register themselves)

for name in motion.__all__:
    MODELS.register_module(module=getattr(motion, name), force=True)
