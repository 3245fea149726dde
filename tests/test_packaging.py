"""The wheel holds what OpenMIM looks for, and no project."""

import re
import shutil
import sys
import zipfile

import pytest
import yaml


@pytest.mark.slow
def test_the_wheel_holds_configs_tools_and_the_zoo(root, run, tmp_path):
    source = tmp_path / 'source'
    ignored = shutil.ignore_patterns('.*', 'data', 'work_dirs', '*.egg-info', 'build')
    shutil.copytree(root, source, ignore=ignored)
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
