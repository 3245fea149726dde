"""What is said that belongs in the log file alone, or nowhere; most of it by MMEngine 0.10.7."""

import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .cure import after, replace

IN_THE_FILE = (
    f'\n{"-" * 60}\nSystem environment:',
    'Config:\n',
    'Distributed training is not used',
    'Exp name: ',
    'Hooks will be executed',
    'load_from used (',  # ours, of hundreds of keys
)
# Old names that MMEngine itself calls, and a metric that has no figures.
NOWHERE = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The prefix is not set in metric class DumpResults',
)


@after('mmengine.logging.logger')
def leave_the_screen_to_what_is_read(logger: ModuleType) -> None:
    """Environment, config and hooks, some 400 lines, come before a training's own (no issue found).

    Cure: where a logger writes a file, they stand there only.
    """

    def filtered(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            self.addFilter(lambda record: not str(record.msg).startswith(NOWHERE))
            to_files = [isinstance(handler, logging.FileHandler) for handler in self.handlers]
            for handler, to_file in zip(self.handlers, to_files, strict=True):
                if not to_file and any(to_files):
                    handler.addFilter(lambda record: not str(record.msg).startswith(IN_THE_FILE))

        return init

    replace(logger.MMLogger, '__init__', filtered)
