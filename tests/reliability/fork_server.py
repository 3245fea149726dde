"""Runs tools/train.py again and again with all imports done: a forked process each.

Reads a request a line, ``{"argv": […], "log": path, "environ": {…}}`` or ``{"poll": pid}``, and
answers each with a line: the process, or its status as of ``subprocess``, None while it runs.
"""

import json
import os
import runpy
import sys

import av  # noqa: F401  before decord

import mmaction_emim.apis  # noqa: F401  before anything of upstream

# isort: split
import mmaction.datasets  # noqa: F401
import mmaction.engine  # noqa: F401
import mmaction.evaluation  # noqa: F401
import mmaction.models  # noqa: F401
import mmengine.runner  # noqa: F401

import mmaction_emim.engine  # noqa: F401


def serve() -> None:
    """Answer until standard input ends; returns in each forked process, for it to go on."""
    for line in sys.stdin:
        request = json.loads(line)
        if 'poll' in request:
            pid, status = os.waitpid(request['poll'], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif not (answer := os.fork()):
            os.setsid()
            os.environ.update(request['environ'])
            sys.argv = request['argv']
            log = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            return
        print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == '__main__':
    serve()
    runpy.run_path(sys.argv[0], run_name='__main__')
