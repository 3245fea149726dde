from .attentive_head import AttentiveHead

__all__ = ['AttentiveHead']
