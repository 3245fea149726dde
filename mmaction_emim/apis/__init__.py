"""What a user calls from Python on a config: what its network costs, and its export."""

from .complexity import complexity, cost, without_motion
from .export import export, exportable, load_exported

__all__ = ['complexity', 'cost', 'export', 'exportable', 'load_exported', 'without_motion']
