"""Steps into every gap of upstream's wheels and prints, as JSON, what each ended with.

python step_into_gaps.py never      without our package
python step_into_gaps.py before     ours is imported, then upstream
python step_into_gaps.py after      upstream is imported, then ours

Printed are the names of the gaps and their errors, or null. Works in the current folder.
"""

import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import gaps

warnings.simplefilter('ignore')
UPSTREAM = (
    'mmaction.datasets.transforms',
    'mmaction.engine',
    'mmaction.models',
    'mmengine.config',
    'mmengine.dist',
    'mmengine.logging',
    'mmengine.optim',
    'mmengine.runner',
)


def add_broken_torchvision() -> None:
    """A package that ends as torchvision does which was built for another torch."""
    Path('torchvision').mkdir()
    error = "raise RuntimeError('operator torchvision::nms does not exist')\n"
    Path('torchvision', '__init__.py').write_text(error)


def error_of(function: Callable[[], None]) -> str | None:
    try:
        function()
    except Exception as error:
        traceback.print_exc()
        return f'{type(error).__name__}: {error}'


def main(order: str) -> None:
    ended = {}
    add_broken_torchvision()
    sys.path.insert(0, os.getcwd())
    if order == 'after':
        gaps.add_drn()
        for name in UPSTREAM:
            importlib.import_module(name)
    else:
        sys.modules['importlib_metadata'] = None  # as if it was not installed
    if order != 'never':
        import mmaction_emim  # noqa: F401
    for name, function in gaps.GAPS.items():
        ended[name] = error_of(function)
        if order == 'never' and name == 'importlib_metadata':
            del sys.modules[name]
        elif order == 'never' and name == 'drn':
            gaps.add_drn()
    print(json.dumps(ended))


if __name__ == '__main__':
    main(*sys.argv[1:])
