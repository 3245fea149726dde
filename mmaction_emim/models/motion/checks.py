"""What motion modules refuse, in one sentence each."""

from torch import Tensor


def check_heads(owner: str, dim: int, num_heads: int) -> None:
    """Refuse heads of no whole number of channels.

    Raises:
        ValueError: ``num_heads`` does not divide ``dim``; the sentence begins with ``owner``.
    """
    if num_heads < 1 or dim % num_heads:
        raise ValueError(f'{owner}: num_heads must divide dim={dim}, got {num_heads}')


def check_tokens(owner: str, x: Tensor, frames: int = 2) -> None:
    """Refuse what is no clip of tokens, or too short for motion.

    Raises:
        ValueError: ``x`` is not (B, T, H, W, C) with T of ``frames`` or more; the sentence begins
            with ``owner``.
    """
    if x.dim() != 5 or x.shape[1] < frames:
        raise ValueError(
            f'{owner}: x must be (B, T, H, W, C) with T of {frames} or more, got {tuple(x.shape)}'
        )
