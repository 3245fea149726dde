"""The repository's tools as processes of their own."""

import os
import subprocess
import sys
from typing import Any

from projects.motion_study import ROOT


def run_tool(tool: str, *arguments: Any, **options: Any) -> int:
    """Run one, from the repository's root, where configs find ``projects``; gives its exit status.

    Args:
        tool: Path below the root, such as ``'tools/train.py'``.
        *arguments: Arguments of its command line.
        **options: Options of :func:`subprocess.run`; ``env`` is added to our environment.
    """
    path = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(path), **options.pop('env', {})}
    command = [sys.executable, tool, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=env, **options).returncode
