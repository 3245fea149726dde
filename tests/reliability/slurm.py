"""A Slurm of one node, two CPUs and two GPUs that are none, of the system's own daemons."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..ports import free_port
from .jobs import SECONDS

DAEMONS = ('slurmctld', 'slurmd')
CONFIG = """
ClusterName=drill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
GresTypes=gpu
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Gres=gpu:2
PartitionName=drill Nodes={host} Default=YES
"""


def missing() -> bool:
    """Whether Slurm is not installed; Debian's packages are slurmctld and slurmd."""
    return not all(shutil.which(name) for name in (*DAEMONS, 'sbatch', 'srun'))


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Runs the daemons with their files in ``folder``; yields the environment of its commands."""
    host, ports = socket.gethostname().split('.')[0], [free_port(), free_port()]
    for name in ('state', 'spool'):
        (folder / name).mkdir()
    for gpu in ('gpu0', 'gpu1'):
        (folder / gpu).touch()
    user = subprocess.check_output(['id', '-un'], text=True).strip()
    config = CONFIG.format(host=host, ports=ports, user=user, folder=folder, cpus=os.cpu_count())
    (folder / 'slurm.conf').write_text(config)
    (folder / 'gres.conf').write_text(f'NodeName={host} Name=gpu File={folder}/gpu[0-1]\n')
    environ = {**os.environ, 'SLURM_CONF': str(folder / 'slurm.conf')}
    daemons = [subprocess.Popen([name, '-D'], env=environ, stderr=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL) for name in DAEMONS]  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while b'idle' not in subprocess.run(['sinfo'], env=environ, capture_output=True).stdout:
            assert time.monotonic() < deadline, (folder / 'slurmd.log').read_text()
            time.sleep(0.2)
        yield environ
    finally:
        subprocess.run(['scancel', '--full', '--user', user], env=environ, check=False)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(SECONDS)
