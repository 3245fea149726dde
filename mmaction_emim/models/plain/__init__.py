"""Motion modules in any transformer: timm, transformers, your own. Torch is enough."""

from .attention import MotionInPlace
from .insert_and_replace import insert_motion, replace_attention
from .interpolate import interpolate_window
from .report import Report
from .tokens import ORDERS, TokenGrid

__all__ = [
    'ORDERS',
    'MotionInPlace',
    'Report',
    'TokenGrid',
    'insert_motion',
    'interpolate_window',
    'replace_attention',
]
