"""``make gpu`` as far as a machine without a GPU can tell."""

import importlib
import os
import shutil
import subprocess
import sys
import time

import pytest
import torch


@pytest.fixture
def gpu(root, monkeypatch):
    monkeypatch.syspath_prepend(root / 'benchmarks')
    return importlib.import_module('gpu')


@pytest.fixture
def run_without_mmaction2(root, run):
    folder = root / 'tests/benchmarks/without_mmaction2'

    def run_without_mmaction2(*command):
        path = os.pathsep.join([str(folder), str(root)])
        return run('env', f'PYTHONPATH={path}', sys.executable, *command, python=False)

    return run_without_mmaction2


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')
def test_one_sentence_where_there_is_no_gpu(run):
    done = run('make', '-s', 'gpu', f'PYTHON={sys.executable}', python=False)
    sentence = f'make gpu needs an NVIDIA GPU, and torch {torch.__version__} sees none here.'
    assert done.returncode and done.stderr.splitlines()[0] == sentence and not done.stdout


HANG = """
import pathlib, subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(900)'])
print('half of it', flush=True)
pathlib.Path(sys.argv[1]).touch()
time.sleep(900)
"""


def test_a_part_survives_the_failure_of_another(gpu, monkeypatch, tmp_path):
    class Popen(subprocess.Popen):
        """The time of what hangs begins once it does."""

        def communicate(self, *arguments, **options):
            while HANG in self.args and not (tmp_path / 'hangs').exists():
                time.sleep(0.01)
            return super().communicate(*arguments, **options)

    monkeypatch.setattr(subprocess, 'Popen', Popen)
    parts = [
        gpu.Part('broken', 'Broken', ['-c', 'print(1); raise ValueError("no luck")'], 300),
        gpu.Part('hangs', 'Hangs', ['-c', HANG, str(tmp_path / 'hangs')], 1.5),
        gpu.Part('bare', 'Bare', ['-c', ''], 300, needs='no_such_package'),
        gpu.Part('works', 'Works', ['-c', 'print("a table")'], 300),
    ]
    start = time.perf_counter()
    results = [gpu.run(part, part.seconds) for part in parts]
    assert time.perf_counter() - start < 600  # what hangs is ended with what it started
    page = gpu.page(results, [gpu.Part('late', 'Late', [], 1)], 'cuda')
    for text in ('half of it', '## Works\n\na table\n'):
        assert text in page
    ends = [line.split('|')[1:4:2] for line in page.splitlines()[-5:]]
    assert [[x.strip() for x in end] for end in ends] == [
        ['broken', 'status 1: ValueError: no luck'],
        ['hangs', 'stopped after 2 s'],
        ['bare', 'no_such_package is not installed: pip install no_such_package'],
        ['works', 'ok'],
        ['late', 'not started: the time was up'],
    ]


@pytest.mark.slow
def test_rivals_that_cannot_be_imported_are_rows_with_the_reason(run_without_mmaction2):
    options = '--shapes small --parts layer --rounds 5 --seconds 0 --threads 1'.split()
    done = run_without_mmaction2('benchmarks/ops.py', '--device', 'cpu', *options)
    assert done.returncode == 0, done.stderr
    assert '| ours |' in done.stdout
    assert "- MMAction2's Attention: excluded, ModuleNotFoundError: " in done.stdout


@pytest.mark.slow
def test_whole_page(run_without_mmaction2, tmp_path):
    options = ['--device', 'cpu', '--small', '--minutes', '9', '--out', str(tmp_path)]
    done = run_without_mmaction2('benchmarks/gpu.py', *options)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / 'gpu.md').read_text()
    assert page in done.stdout
    assert page.count('| ok |') == 6
    assert ' passed' in page and '| small | bfloat16 | mask | triton |' in page
    assert page.count('| EMIM and global (SDPA) |') == 2
    assert "- all global (MMAction2's): excluded, ModuleNotFoundError: " in page
    assert '| window * window | ours | 9, 25 |' in page
    names = {'gpu.md', 'growth.json', 'operator.json'}
    names |= {f'step-tiny-{dtype}.json' for dtype in ('bfloat16', 'float16')}
    assert {path.name for path in tmp_path.iterdir()} == names
