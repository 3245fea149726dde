"""The zoo is whole: every config in a metafile, every README table from it, mim can read it."""

import shutil

import pytest
import yaml


def zoo(run, root, *arguments):
    return run(str(root / 'tools' / 'zoo.py'), *arguments)


@pytest.fixture
def copy(root, tmp_path):
    for name in ('configs', 'tools'):
        shutil.copytree(root / name, tmp_path / name)
    shutil.copy(root / 'model-index.yml', tmp_path)
    return tmp_path


def test_what_is_committed_is_whole(run, root):
    done = zoo(run, root, '--check')
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_costs_are_as_counted_now(run, root):
    done = zoo(run, root, '--check', '--recount')
    assert done.returncode == 0, done.stderr


def test_an_entry_that_differs_from_its_config_is_reported(run, copy):
    file = copy / 'configs' / 'm2a' / 'metafile.yml'
    file.write_text(file.read_text().replace('Views: 1 x 1', 'Views: 1 x 3', 1))
    done = zoo(run, copy, '--check')
    assert done.returncode == 1
    assert 'Views is 1 x 1, not 1 x 3' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    'file, old, new',
    [
        ('configs/m2a/README.md', 'not yet trained here', '49.9'),
        ('configs/m2a/metafile.yml', 'Parameters: 11', 'Parameters: 12'),
        ('model-index.yml', 'configs/ata/metafile.yml', 'configs/other/metafile.yml'),
    ],
)
def test_what_differs_is_reported(run, copy, file, old, new):
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    done = zoo(run, copy, '--check')
    assert done.returncode == 1
    assert 'not what tools/zoo.py writes' in done.stderr.splitlines()[-1]


def test_a_config_without_an_entry_is_reported(run, copy):
    (copy / 'configs' / 'ata' / 'new_sthv2-rgb.py').write_text('')
    done = zoo(run, copy, '--check')
    assert done.returncode == 1
    assert "its models and the configs differ: {'new_sthv2-rgb'}" in done.stderr


def test_what_mim_reads(root):
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    for file in index['Import']:
        meta = yaml.safe_load((root / file).read_text())
        collections = {collection['Name'] for collection in meta['Collections']}
        for model in meta['Models']:
            assert model['In Collection'] in collections
            assert (root / model['Config']).is_file()
            assert model['Metadata']['Parameters'].endswith('M')
            assert 'Weights' not in model or 'Results' in model
