"""What networks answer, tokens or maps, bare or in a dict, and the way to (B, C, T, H, W)."""

from collections.abc import Mapping
from math import prod
from typing import Any

from torch import Tensor, nn

from mmaction_emim.models.plain import TokenGrid

# Of transformers' models and backbones, and of DINOv2's own.
FEATURES = ('last_hidden_state', 'feature_maps', 'x_norm_patchtokens')


def features_of(owner: str, answer: Any) -> Tensor:
    """The tensor of features in what a network returned: the last, where there are several.

    Raises:
        ValueError: There is none.
    """
    if isinstance(answer, Mapping):
        answer = next((answer[key] for key in FEATURES if key in answer), None)
    if isinstance(answer, list | tuple) and answer:
        answer = answer[-1]
    if isinstance(answer, Tensor) and answer.dim() in (3, 4, 5):
        return answer
    got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    raise ValueError(
        f'{owner}: the encoder must answer tokens (B, L, C) or a map (B, C, H, W) or '
        f'(B, C, T, H, W), got {got}'
    )


def find_number(network: nn.Module, *names: str) -> int | None:
    """The first number of these names that a network, or its config, has; of lists the last."""
    for holder in (network, getattr(network, 'config', None)):
        for name in names:
            value = getattr(holder, name, None)
            value = value[-1] if isinstance(value, list | tuple) and value else value
            if isinstance(value, int):
                return value
    return None


def find_patch(network: nn.Module) -> tuple[int, int] | None:
    """(height, width) in pixels of a network's patches, by what it says of itself."""
    config = getattr(network, 'config', None)
    for holder in (getattr(network, 'patch_embed', None), config, network):
        size = getattr(holder, 'patch_size', None)
        if size is None and isinstance(getattr(holder, 'tubelet_size', None), list | tuple):
            size = holder.tubelet_size[1:]  # ViViT's
        if isinstance(size, int):
            return size, size
        if isinstance(size, list | tuple) and len(size) == 2:
            return tuple(size)
    return None


def tokens_to_map(
    owner: str,
    tokens: Tensor,
    grid: tuple[int, int] | None,
    prefix: int | None,
    order: str = 'clip',
    frames: int | None = None,
    clip: int | None = None,
) -> Tensor:
    """Tokens (B, prefix + T*H*W, C) -> (B, C, T, H, W); those before the grid are dropped.

    Args:
        owner: What errors begin with.
        tokens: The tokens.
        grid: (H, W); None where it is not known.
        prefix: Tokens before the grid; None: what the grids of ``frames`` leave.
        order: See :class:`.TokenGrid`.
        frames: T; None: as many as there are.
        clip: Frames of the clip, which T divides where ``prefix`` is not known; None: not known.

    Raises:
        ValueError: The grid is not known, or does not fit the tokens.
    """
    length = tokens.shape[1]
    if grid is None:
        raise ValueError(
            f'{owner}: the encoder says no patch_size; set grid to the (H, W) of its {length} '
            'tokens, without class tokens and registers'
        )
    cells = prod(grid)
    if prefix is None:
        prefix = length - frames * cells if frames else length % cells
        if not frames and clip and length >= cells and clip % (length // cells):
            raise ValueError(
                f'{owner}: {length} tokens would be {prefix} and {length // cells} x {grid[0]} x '
                f'{grid[1]}, which are no tubes of {clip} frames; set grid and prefix'
            )
    T, rest = divmod(length - prefix, cells)
    if prefix < 0 or rest or T < 1 or (frames and T != frames):
        raise ValueError(
            f'{owner}: {length} tokens are not {prefix} and {frames or "some"} x {grid[0]} x '
            f'{grid[1]}; set grid and prefix'
        )
    out, _ = TokenGrid((T, *grid), order, prefix).split(tokens)
    return out.permute(0, 4, 1, 2, 3)
