"""What a training's processes agree on before they build anything."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import (
    barrier,
    broadcast_object_list,
    get_world_size,
    init_dist,
    is_main_process,
)
from mmengine.utils.dl_utils import set_multi_processing

from .resume import choose_checkpoint, stamps
from .work_dir_lock import lock_work_dir, read_note

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@contextmanager
def training_job(cfg: Config) -> Iterator[list[str]]:
    """Connect the processes, lock the work folder and choose what is resumed.

    The first process does the latter two for all. Where torchrun or Slurm has restarted the job,
    it is resumed from what it had saved: not from checkpoints that were there before it began.

    Args:
        cfg: With ``launcher``, ``work_dir``, ``resume`` and ``load_from``; the last two are set.

    Yields:
        What was passed over, as :func:`.choose_checkpoint` tells it.

    Raises:
        ValueError: Another training writes to the folder, or no checkpoint can be resumed from.
        OSError: The folder cannot be written to.
    """
    connect(cfg)
    with ExitStack() as held:
        restarted = _restarts() > 0

        def choose() -> tuple[str | None, bool, list[str]]:
            work_dir = Path(cfg.work_dir)
            earlier = _earlier(cfg, restarted)
            held.enter_context(lock_work_dir(work_dir, dict(launcher=_launcher(), earlier=earlier)))
            passed = choose_checkpoint(cfg, restarted, earlier)
            return cfg.get('load_from'), cfg.get('resume', False), passed

        cfg.load_from, cfg.resume, passed = _by_the_first(choose)
        yield passed
    if cfg.get('launcher', 'none') != 'none':
        barrier()  # the first process may hold what connects them
        torch.distributed.destroy_process_group()


def connect(cfg: Config) -> None:
    """Initialise ``torch.distributed`` as the Runner would; end with the launcher."""
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        end_with_launcher()
    env = cfg.get('env_cfg', {})
    set_multi_processing(**env.get('mp_cfg', {}), distributed=True)
    if not torch.distributed.is_initialized():
        init_dist(launcher, **env.get('dist_cfg', {}))


def end_with_launcher() -> None:
    """Have the kernel end this process (SIGTERM) when torchrun, which started it, ends; on Linux.

    A killed torchrun would leave its processes training and writing.
    """
    if sys.platform != 'linux':
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    launcher = os.environ.get('LAUNCHER_PID')  # of tools/dist_train.sh, which becomes torchrun
    if launcher and int(launcher) != os.getppid():
        sys.exit(f'the launcher, process {launcher}, has ended')


def _restarts() -> int:
    """How often the job was restarted, as far as one of its processes knows."""
    counts = (os.environ.get(f'{name}_RESTART_COUNT', 0) for name in ('TORCHELASTIC', 'SLURM'))
    known = [max(map(int, counts))]
    if get_world_size() > 1:
        known *= get_world_size()
        torch.distributed.all_gather_object(known, known[0])
    return max(known)


def _launcher() -> list:
    return [socket.gethostname(), os.environ.get('SLURM_JOB_ID') or os.getppid()]


def _earlier(cfg: Config, restarted: bool) -> list:
    """Checkpoints in the folder that are not this job's."""
    if cfg.get('resume') and not cfg.get('load_from'):
        return []
    if restarted:
        note = read_note(Path(cfg.work_dir))
        noted, ours = note.get('launcher'), _launcher()
        # Else the first start ended before it noted anything.
        if noted == ours or (noted and noted[0] != ours[0]):
            return note.get('earlier', [])
    return stamps(cfg)


def _by_the_first(function: Callable[[], Any]) -> Any:
    """What ``function`` gives in the first process; an error there is one in all."""
    answer: list[Any] = [None, None]
    if is_main_process():
        try:
            answer[0] = function()
        except (OSError, ValueError) as error:
            if get_world_size() == 1:
                raise
            answer[1] = error
    broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]
