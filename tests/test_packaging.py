"""The wheel holds what OpenMIM looks for, and no project."""

import configparser
import json
import re
import shutil
import sys
import zipfile
from importlib.metadata import distribution, files, requires

import pytest
import yaml
from packaging.requirements import Requirement

from mmaction_emim.models import motion

# __pycache__: other tests write to it meanwhile.
NOT_IN_A_WHEEL = shutil.ignore_patterns(
    '.*', 'data', 'work_dirs', '*.egg-info', 'build', '__pycache__'
)


def test_machines_without_wheels_of_decord_install_what_mmaction2_needs_besides(root):
    setup = configparser.ConfigParser()
    setup.read(root / 'setup.cfg')
    lines = setup['options']['install_requires'].splitlines()
    ours = [Requirement(line) for line in lines if line and not line.startswith('#')]
    theirs = map(Requirement, requires('mmaction2'))
    needs = {need.name.lower() for need in theirs if not need.marker}
    assert 'decord' in needs
    for machine, system in (
        ('x86_64', 'linux'),
        ('AMD64', 'win32'),
        ('aarch64', 'linux'),
        ('arm64', 'darwin'),
        ('x86_64', 'darwin'),
    ):
        place = dict(platform_machine=machine, sys_platform=system)
        names = {need.name for need in ours if not need.marker or need.marker.evaluate(place)}
        has_wheels = machine in ('x86_64', 'AMD64') and system != 'darwin'
        assert ('decord' in names) == ('mmaction2' in names) == has_wheels
        assert needs - {'decord'} <= {name.lower() for name in names}


def _needed(name: str) -> set[str]:
    """The distribution and all that it requires here."""
    names, left = set(), [name]
    while left:
        name = left.pop()
        if name not in names:
            names.add(name)
            needs = map(Requirement, requires(name) or ())
            left += [need.name for need in needs if not need.marker or need.marker.evaluate()]
    return names


@pytest.mark.slow
def test_torch_is_all_that_an_installed_copy_needs(root, run, tmp_path):
    source, site = tmp_path / 'source', tmp_path / 'site'
    shutil.copytree(root, source, ignore=NOT_IN_A_WHEEL)
    command = ['-m', 'pip', 'install', '--no-deps', '--no-build-isolation', '--target', str(site)]
    done = run(*command, str(source))
    assert done.returncode == 0, done.stderr
    for name in _needed('torch'):
        for top in {path.parts[0] for path in files(name)} - {'..', '__pycache__', 'bin'}:
            target = distribution(name).locate_file(top)
            if not (site / top).exists():
                (site / top).symlink_to(target)
    program = shutil.copy(root / 'tests/models/motion/torch_only.py', tmp_path)
    code = (
        f'import runpy, sys; sys.path.insert(0, {str(site)!r}); sys.argv[1:] = ["missing"]\n'
        f'runpy.run_path({program!r}, run_name="__main__")'
    )
    done = run('-I', '-S', '-c', code)  # without our site-packages
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed['shapes'].keys() == set(motion.__all__) and printed['imported'] == []


@pytest.mark.slow
def test_the_wheel_holds_configs_tools_and_the_zoo(root, run, tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(root, source, ignore=NOT_IN_A_WHEEL)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    done = run(*command, '-w', str(tmp_path), str(source), python=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        mim = 'mmaction_emim/.mim/'
        for file in yaml.safe_load(archive.read(f'{mim}model-index.yml'))['Import']:
            for model in yaml.safe_load(archive.read(f'{mim}{file}'))['Models']:
                assert mim + model['Config'] in names
    for path in ('configs/_base_/default_runtime.py', 'tools/train.py', 'dataset-index.yml'):
        assert mim + path in names
    for path in root.glob('mmaction_emim/**/*.py'):
        assert str(path.relative_to(root)) in names
    assert not any('project' in name for name in names)


def test_nothing_that_is_installed_needs_a_project(root):
    own = ('EMIMAblation', 'JointAttention', 'ShallowResNetTSM')  # models of the study
    needs = re.compile('|'.join([r'(import|from) +projects', r'\bprojects\.\w', *own]))
    for folder in ('mmaction_emim', 'tools', 'configs'):
        files = [
            path for path in (root / folder).rglob('*') if path.suffix in ('.py', '.sh', '.yml')
        ]
        assert files
        assert not [str(path) for path in files if needs.search(path.read_text())]
