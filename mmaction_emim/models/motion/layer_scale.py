"""LayerScale: a learned factor a channel on what a branch adds; zeros make it start as nothing.

Source: Touvron et al., Going deeper with Image Transformers, arXiv 2103.17239.
"""

import torch
from torch import Tensor, nn


def new_layer_scale(like: Tensor, value: float = 0.0) -> nn.Parameter:
    """The factors, all ``value`` at first, of the shape (C,), dtype and device of ``like``."""
    return nn.Parameter(torch.full_like(like, float(value)))
