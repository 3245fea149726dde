"""The lock agrees with what it locks, and no licence came in unseen."""

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from email.message import Message
from importlib.metadata import distributions

import pytest


@pytest.fixture(scope='module')
def load(root):
    """A script of ``.ci`` as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, root / '.ci' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def copied(root, tmp_path):
    """The files that must agree."""
    shutil.copytree(root / 'requirements', tmp_path / 'requirements')
    for name in ('setup.cfg', 'constraints.txt'):
        shutil.copy(root / name, tmp_path)
    return tmp_path


def test_the_lock_agrees_with_what_it_locks(load, root):
    assert list(load('check_lock').problems(root)) == []


@pytest.mark.parametrize(
    'file, old, new, message',
    [
        ('constraints.txt', 'rich==15.0.0', 'rich==14.0.0', 'rich 14.0.0 in constraints'),
        ('constraints.txt', 'torch==2.13.0', 'torch==2.12.0', 'torch 2.13.0 in torch-cpu.txt'),
        ('setup.cfg', 'torch>=2.7\n', 'torch>=2.7\n    tqdm\n', 'tqdm of setup.cfg is not locked'),
        ('setup.cfg', 'av>=17.1', 'av>=99', r'av 17.1.0 is locked, setup.cfg has av>=99'),
        ('requirements/lock.txt', 'rich==15.0.0', 'rich==14.0.0', 'rich 14.0.0 in lock.txt, 15'),
        ('requirements/lock.txt', '--hash=sha256:', '', 'lock.txt: no hash of addict'),
    ],
)
def test_a_disagreement_is_named(load, copied, file, old, new, message):
    text = (copied / file).read_text()
    assert old in text
    (copied / file).write_text(text.replace(old, new))
    assert any(re.search(message, line) for line in load('check_lock').problems(copied))


def test_what_is_installed_otherwise_is_named(load, copied):
    lock = copied / 'requirements' / 'lock-dev.txt'
    lock.write_text(lock.read_text().replace('einops==0.8.2', 'einops==0.8.1'))
    (line,) = [line for line in load('check_lock').differences(copied) if 'einops' in line]
    assert re.fullmatch(r'einops \S+ is installed, 0\.8\.1 is locked', line)


PAGE = 3, 11  # the Python whose table the page has


def test_every_licence_is_known_and_on_the_page(load, root):
    licences, page = load('licences'), (root / 'docs' / 'supply.md').read_text()
    rows = dict(re.findall(r'^\| (.+?) \| (.+) \|$', page, flags=re.MULTILINE))
    locked = load('check_lock').read(root / 'requirements' / 'lock-dev.txt')
    here = [need for need in locked if need.marker is None or need.marker.evaluate()]
    names = {need.name.lower().replace('_', '-') for need in here}
    # Of the environment alone: pkg_resources puts what setuptools bundles on the path.
    for dist in distributions(path=[sysconfig.get_path('purelib')]):
        if dist.name.lower().replace('_', '-') in names:
            named = licences.licence(dist)
            assert not licences.unknown(named), dist.name
            # Another Python has other versions, some of which word it otherwise.
            listed = PAGE != sys.version_info[:2] or dist.name in rows.get(named, '').split(', ')
            assert listed, f'{dist.name} ({named}): copy the tables of .ci/licences.py to the page'


@pytest.mark.parametrize(
    'field, value, expected, new',
    [
        ('License-Expression', 'MIT AND (GPL-3.0 OR Zlib)', 'MIT AND (GPL-3.0 OR Zlib)', 'GPL-3.0'),
        ('Classifier', 'License :: OSI Approved :: MIT License', 'MIT License', None),
        ('License', 'Ask me\nfirst', 'Ask me', 'Ask me'),
        ('Name', 'silent', '', ''),
    ],
)
def test_a_new_licence_is_noticed(load, field, value, expected, new):
    class Dist:
        metadata = Message()

    Dist.metadata[field] = value
    licences = load('licences')
    assert licences.licence(Dist) == expected
    assert licences.unknown(expected) == ([] if new is None else [new])


def test_the_matrix_says_what_is_missing(root):
    if not shutil.which('make') or not shutil.which('bash'):
        pytest.skip('needs make and bash')
    here = '{}.{}'.format(*sys.version_info)
    command = ['env', 'TARGET=-n lint', root / '.ci' / 'matrix', here, '3.99']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-2:]
    assert re.fullmatch(rf'{here}  passed   \S+', last[0]) and last[1] == '3.99  missing'
