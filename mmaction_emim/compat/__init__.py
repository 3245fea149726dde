"""Closes the gaps of the released upstream wheels, each in one function, for today's stack.

A function names the upstream module that it mends and runs when that module is imported, or at once
if it was before ours: the order of imports decides nothing. Each looks for its gap and does nothing
where there is none.

Private names of upstream are imported in this folder only, but for subclasses that say so in their
docstring. Those of torch are below; the gaps are imported where MMAction2 is.
"""

import warnings

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
    'onednn_takes_bfloat16',
    'softmax_backward',
]

OF_NO_CONCERN = (
    'pkg_resources is deprecated',  # setuptools is pinned
    'Fail to import ``MultiScaleDeformableAttention``',  # nothing here uses that operator of mmcv's
    'This DataLoader will create',  # processes that mostly wait may be more than cores
    'Detected call of `scheduler.step',  # with accumulative_counts, where it is right
)
softmax_backward = torch._softmax_backward_data


def onednn_takes_bfloat16() -> bool:
    """Whether torch leaves bfloat16 to oneDNN: up to the processor, not to torch's own code."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def apply() -> None:
    """Close the gaps of what is imported, and of the rest when it is; imports nothing of it.

    In the same way the registries are told where our components are. Warnings that no user can
    change are silenced.
    """
    from . import locations, mmaction_gaps, mmengine_gaps, screen, torch_gaps  # noqa: F401

    for message in OF_NO_CONCERN:
        warnings.filterwarnings('ignore', message)
    HOOK.install()
