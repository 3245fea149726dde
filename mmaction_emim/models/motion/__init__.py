"""Motion modules: functions from video tokens to video tokens, (B, T, H, W, C) -> the same."""

from .emim import EMIMAttention

__all__ = ['EMIMAttention']
