"""Refuses answers of a network that hold NaN or infinity: the class that they name is none."""

from collections.abc import Mapping
from typing import Any

import torch


def check_finite(values: Any, whose: str, what: str = 'scores') -> None:
    """Refuse numbers that are not finite.

    Args:
        values: Tensor or array of any shape, or several of them by name.
        whose: Name of the clip.
        what: What the numbers are. Default ``'scores'``.

    Raises:
        FloatingPointError: Names the clip and counts such numbers.
    """
    if isinstance(values, Mapping):
        for each in values.values():
            check_finite(each, whose, what)
        return
    values = torch.as_tensor(values)
    if bad := int((~values.isfinite()).sum()):
        raise FloatingPointError(
            f'{whose}: {bad} of {values.numel()} {what} are not finite, so they say nothing; '
            'weights that hold NaN give such, and fp16 that overflows'
        )
