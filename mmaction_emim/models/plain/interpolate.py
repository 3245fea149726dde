"""EMIM's weights for another window."""

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolate_window(state_dict: dict[str, Tensor], window: int) -> dict[str, Tensor]:
    """Weights of EMIM's modules, of any network, for modules of another window.

    The position bias and the motion MLP's first layer are maps over the window: they are
    resampled (bicubic, corners on corners), as for a grid of the same picture that is finer or
    coarser; the first layer's are scaled by the ratio of offsets, so that sums keep their size.
    Of the MLP's hidden units, four an offset, a larger window repeats the first and shares out
    what they give; a smaller one keeps those that give most.

    Args:
        state_dict: Weights of a network; what is not EMIM's stays.
        window: Side of the new window; odd, 3 or more.

    Returns:
        A new state dict.

    Raises:
        ValueError: ``window`` is not as above, or no EMIM is in it.
    """
    if not isinstance(window, int) or window < 3 or window % 2 == 0:
        raise ValueError(f'window must be an odd integer of 3 or more, got {window!r}')
    prefixes = [name[:-3] for name in state_dict if name.rpartition('.')[2] == 'rpb']
    if not prefixes:
        raise ValueError('state_dict: no EMIM is in it: no name ends in rpb')
    out = dict(state_dict)
    for prefix in prefixes:
        bias = state_dict[f'{prefix}rpb']
        out[f'{prefix}rpb'] = _resampled(bias, window)
        layers = [f'{prefix}motion_conv.{i}.{kind}' for i in (0, 2) for kind in ('weight', 'bias')]
        if layers[0] in state_dict:
            first, first_bias, second, _ = (state_dict[name] for name in layers)
            first, first_bias, second = _hidden(first, first_bias, second, 4 * window * window)
            maps = _resampled(first.unflatten(1, bias.shape[1:]), window).flatten(1)
            maps = maps * (bias[0].numel() / window**2)
            out.update(zip(layers, (maps, first_bias, second), strict=False))
    return out


def _resampled(maps: Tensor, window: int) -> Tensor:
    """(N, w, w) -> (N, window, window)."""
    size = (window, window)
    out = F.interpolate(maps[None].float(), size, mode='bicubic', align_corners=True)
    return out[0].to(maps.dtype)


def _hidden(
    first: Tensor, bias: Tensor, second: Tensor, units: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same with another number of hidden units."""
    there = len(first)
    if units >= there:
        chosen = torch.arange(units, device=first.device) % there
        times = torch.bincount(chosen, minlength=there)
        return first[chosen], bias[chosen], second[:, chosen] / times[chosen]
    gives = first.norm(dim=1) * second.norm(dim=0)
    chosen = gives.topk(units).indices.sort().values
    return first[chosen], bias[chosen], second[:, chosen]
