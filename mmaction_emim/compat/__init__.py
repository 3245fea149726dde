"""Closes the gaps of the released upstream wheels, each in one function, for today's stack.

A function names the upstream module that it mends and runs when that module is imported, or at once
if it was before ours: the order of imports decides nothing. Each looks for its gap and does nothing
where there is none.

Private names of upstream are imported in this folder only, but for subclasses that say so in their
docstring. Those of torch are below; the gaps are imported where MMAction2 is.
"""

import importlib

import torch
from torch._subclasses import FakeTensorMode
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.conv import _ConvNd as Convolution

from .cure import HOOK

__all__ = [
    'BatchNorm',
    'Convolution',
    'FakeTensorMode',
    'apply',
    'register_lazily',
    'softmax_backward',
]

softmax_backward = torch._softmax_backward_data


def apply() -> None:
    """Close the gaps of what is imported, and of the rest when it is."""
    from . import mmaction_gaps, mmengine_gaps  # noqa: F401

    mmaction_gaps.provide_importlib_metadata()
    HOOK.install()


def register_lazily() -> None:
    """Have the registries import our modules when they first look something up.

    So ``import mmaction_emim`` costs no more than ``import mmaction``, which loads no model.
    """
    from mmaction import registry
    from mmengine.registry import STRATEGIES  # MMAction2 has none of its own

    for registry_, location in (
        (registry.MODELS, 'mmaction_emim.models.registration'),
        (registry.DATASETS, 'mmaction_emim.datasets'),
        (registry.TRANSFORMS, 'mmaction_emim.datasets.transforms'),
        (registry.HOOKS, 'mmaction_emim.engine'),
        (registry.HOOKS, 'mmaction_emim.visualization'),
        (registry.OPTIM_WRAPPER_CONSTRUCTORS, 'mmaction_emim.engine'),
        (registry.METRICS, 'mmaction_emim.evaluation'),
        (STRATEGIES, 'mmaction_emim.engine'),
    ):
        if location not in registry_._locations:
            registry_._locations = [*registry_._locations, location]
            if registry_._imported:
                importlib.import_module(location)
