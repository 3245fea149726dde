"""The Triton kernels: their cases, and whether they compile for GPUs that are not there.

The cases run on a GPU if there is one, else in Triton's interpreter; in a process of its own, as
that must be chosen before Triton is first imported.
"""

import sys

import pytest
import torch

from mmaction_emim.ops import triton

reason = triton.refusal(torch.device('cpu'), torch.float32, 16, 3)
pytestmark = pytest.mark.skipif('needs' in (reason or ''), reason=f'the backend {reason}')


@pytest.mark.parametrize(
    'file, mark, which',
    [
        ('triton_cases.py', 'not slow', 'not graph_break and not sense_of_torch and not refusal'),
        pytest.param('triton_cases.py', '', '', marks=pytest.mark.slow),
        pytest.param('test_autocast.py', '', 'triton', marks=pytest.mark.slow),
    ],
    ids=['', 'every size', 'autocast'],
)
def test_triton_cases(run, file, mark, which):
    interpret = int(not torch.cuda.is_available())
    command = [sys.executable, '-m', 'pytest', '-q', '--noconftest', '-m', mark, '-k', which]
    command.append(f'tests/ops/{file}')
    done = run('env', f'TRITON_INTERPRET={interpret}', *command, python=False)
    assert done.returncode == 0 and ' passed' in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    'sizes',
    [
        '--arch 90',
        '--arch 90 --d 24 --window 3 --part operator masked cost_volume',
        '--arch 80 120 --dtype float16 float32 --d 128 --window 11',
    ],
)
def test_compiles_for_gpus(run, tmp_path, sizes):
    script = [sys.executable, 'benchmarks/triton_resources.py', *sizes.split()]
    done = run('env', f'TRITON_CACHE_DIR={tmp_path}', 'PYTHONPATH=.', *script, python=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split('|')[1:-1] for line in done.stdout.splitlines()[2:]]
    assert rows
    for _, dtype, *_, spilled, shared, products in rows:
        assert int(products) > 0
        assert float(shared) <= 99  # KiB; the least that GPUs of capability 8.0 and later have
        assert int(spilled) <= 128 or 'float32' in dtype
