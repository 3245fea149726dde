"""Upstream's attention weights under the names that motion modules have: ``qkv`` and ``proj``."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmaction_emim.models.motion.emim import match_keys

RENAMED = {
    'in_proj_weight': 'qkv.weight',
    'in_proj_bias': 'qkv.bias',
    'out_proj.weight': 'proj.weight',
    'out_proj.bias': 'proj.bias',
}


def fused_names(weights: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, tuple[str, ...]]]:
    """An attention's weights under the names ``qkv`` and ``proj``.

    Args:
        weights: One attention layer's: fused already, of ``nn.MultiheadAttention``, split
            (``q.weight``, ``k.weight``, ``v.weight``), or fused with biases of q and v only
            (``q_bias``, ``v_bias``: VideoMAE, whose keys have none).

    Returns:
        New name to (weight, names it was made of), for what had to be converted only.
    """
    made = {new: (weights[old], (old,)) for old, new in RENAMED.items() if old in weights}
    if 'q_bias' in weights and 'v_bias' in weights:
        q, v = weights['q_bias'], weights['v_bias']
        made['qkv.bias'] = (torch.cat([q, torch.zeros_like(q), v]), ('q_bias', 'v_bias'))
    for kind in ('weight', 'bias'):
        parts = tuple(f'{part}.{kind}' for part in 'qkv')
        if all(part in weights for part in parts):
            made[f'qkv.{kind}'] = (torch.cat([weights[part] for part in parts]), parts)
    return made


def copy_attention(attention: nn.Module, module: nn.Module) -> None:
    """Copy ``qkv`` and ``proj`` of an attention layer into the motion module in its place."""
    weights = attention.state_dict()
    weights |= {name: weight for name, (weight, _) in fused_names(weights).items()}
    own = module.state_dict()
    module.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
    if getattr(module, 'match_init', False):
        match_keys(module.qkv)  # not every family calls init_weights of its layers later
