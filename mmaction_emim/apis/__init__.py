"""What a user calls from Python on a config: its network, what it costs, and its export."""

from .complexity import complexity, cost, without_motion
from .export import export, exportable, load_exported
from .recognizer import init_recognizer

__all__ = [
    'complexity',
    'cost',
    'export',
    'exportable',
    'init_recognizer',
    'load_exported',
    'without_motion',
]
