"""With real releases of transformers beside it, MMAction2 imports; VindLU where it can be."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / 'compat_programs' / 'vindlu.py'


def imports(python, which, *paths):
    """How PROGRAM ended and what it logged."""
    done = subprocess.run(
        [python, str(PROGRAM), which],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *log, result = done.stdout.splitlines()
    return json.loads(result), '\n'.join(log) + done.stderr


def assert_left_out(result, log):
    assert "MMAction2's VindLU cannot be imported with transformers" in result.pop('built')
    assert result == dict(error=None, vindlu=False, registered=True)
    assert 'VindLU' not in log


@pytest.fixture
def beside(tmp_path, root):
    """An environment that sees this one's packages; returns its pip and its run of PROGRAM."""
    venv.create(tmp_path / 'env', symlinks=True)
    python = str(tmp_path / 'env' / 'bin' / 'python')
    (site,) = (tmp_path / 'env').glob('lib/python*/site-packages')
    own = sysconfig.get_path('purelib')
    (site / 'tests_own.pth').write_text(f'import site; site.addsitedir({own!r})\n')

    def install(*requirements):
        command = [sys.executable, '-m', 'pip', '--python', python, 'install', '-q', *requirements]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if 'No matching distribution found' in done.stderr:
            pytest.skip(f'no package index to install {requirements} from')
        assert done.returncode == 0, done.stderr

    return install, lambda which: imports(python, which, root)


def test_left_out_where_transformers_is_an_empty_shell(tmp_path, root):
    (tmp_path / 'transformers').mkdir()
    info = tmp_path / 'transformers-5.0.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: transformers\nVersion: 5.0.0\n')
    assert_left_out(*imports(sys.executable, 'ours', root, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize('transformers', ['transformers<5', 'transformers<6'])
def test_left_out_where_it_does_not_fit(transformers, beside):
    install, run = beside
    install('-c', 'constraints.txt', transformers)
    for step in ((), ('--no-deps', 'timm', 'torchvision')):
        if step:
            install(*step)
        assert run('upstream')[0]['error']
        assert_left_out(*run('ours'))


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason='this transformers has no wheels for it')
def test_kept_where_it_fits(beside):
    install, run = beside
    install('-c', 'constraints.txt', 'transformers==4.30.2')
    # This torchvision imports without its compiled part.
    install('--no-deps', 'timm==0.9.16', 'torchvision==0.15.2')
    result, log = run('ours')
    assert 'cannot be imported' not in result.pop('built')
    assert (result, log) == (dict(error=None, vindlu=True, registered=True), '')
