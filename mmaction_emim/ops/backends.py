"""Which backends there are, and which serves given tensors."""

import torch
from torch import Tensor

from . import reference, registration, tiled, triton

PLAIN = {'reference': reference, 'tiled': tiled}  # of torch's operators alone
BACKENDS = (*PLAIN, *registration.BACKENDS)


def check_backend(backend: str) -> None:
    """Raise ValueError unless ``backend`` is ``'auto'`` or one of BACKENDS."""
    if backend != 'auto' and backend not in BACKENDS:
        raise ValueError(f'backend: got {backend!r}; accepted are {("auto", *BACKENDS)}')


def choose_backend(backend: str, x: Tensor, window: int) -> str:
    """The backend for tensors such as ``x``, whose last size is a head's channels.

    Raises:
        ValueError: It is ``'triton'``, which does not serve them.
    """
    if backend not in ('auto', 'triton'):
        return backend
    if backend == 'auto' and x.device.type != 'cuda':
        return 'dense'
    reason = triton.refusal(x.device, x.dtype, x.shape[-1], window)
    if reason and backend == 'triton':
        raise ValueError(f"backend: 'triton' {reason}; 'auto' takes another where it must")
    return 'dense' if reason else 'triton'


def at_least_float32(*tensors: Tensor) -> list[Tensor]:
    """Half precision becomes float32; the others stay."""
    return [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tensors]
