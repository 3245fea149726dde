"""The zoo is whole: every config in a metafile, every README table from it, mim can read it."""

import shutil

import pytest
import yaml

from ..conftest import ROOT


@pytest.mark.parametrize('recount', [[], pytest.param(['--recount'], marks=pytest.mark.slow)])
def test_what_is_committed_is_whole(run, recount):
    done = run('tools/zoo.py', '--check', *recount)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path):
    """The zoo of two small folders."""
    for name in ('_base_', 'ata', 'm2a'):
        shutil.copytree(ROOT / 'configs' / name, tmp_path / 'configs' / name)
    index = dict(Import=['configs/ata/metafile.yml', 'configs/m2a/metafile.yml'])
    (tmp_path / 'model-index.yml').write_text(yaml.safe_dump(index))
    return tmp_path


@pytest.fixture
def zoo(copy, call):
    """Calls tools/zoo.py on the copy and gives the error that it ends with, or None."""
    (copy / 'tools').mkdir()
    shutil.copy(ROOT / 'tools' / 'zoo.py', copy / 'tools')

    def zoo(*arguments):
        done = call(str(copy / 'tools' / 'zoo.py'), *arguments)
        return done.stderr.splitlines()[-1] if done.returncode else None

    return zoo


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    'old, new, options, message',
    [
        ('Views: 1 x 1', 'Views: 1 x 3', [], 'Views is 1 x 1, not 1 x 3'),
        ('Parameters: 31.58M', 'Others: 1M', [], 'no Parameters; run tools/zoo.py'),
        ('FLOPs: 51.2G', 'FLOPs: 51.3G', ['--recount'], 'FLOPs is 51.2G, not 51.3G'),
        ('Motion: 44.9G', 'Motion: 51.2G', ['--recount'], 'without Motion is 44.9G, not 51.2G'),
    ],
)
def test_an_entry_that_differs_from_its_config_is_reported(zoo, copy, old, new, options, message):
    change(copy / 'configs/m2a/metafile.yml', old, new)
    shutil.rmtree(copy / 'configs/ata')  # takes long to count
    assert zoo('--check', *options).endswith(message)


@pytest.mark.parametrize(
    'file, old, new',
    [
        ('configs/m2a/README.md', 'not yet trained here', '49.9'),
        ('configs/m2a/metafile.yml', 'Parameters: 11', 'Parameters: 12'),
        ('configs/m2a/metafile.yml', 'without Motion: 11', 'without Motion: 12'),
        ('configs/m2a/metafile.yml', 'arxiv.org/abs/2111', 'arxiv.org/abs/2112'),
        ('model-index.yml', 'configs/ata/metafile.yml', 'configs/other/metafile.yml'),
    ],
)
def test_what_differs_is_reported(zoo, copy, file, old, new):
    change(copy / file, old, new)
    assert 'not what tools/zoo.py writes' in zoo('--check')


def test_a_config_without_an_entry_is_reported(zoo, copy):
    assert zoo('--check') is None
    (copy / 'configs/ata/new_sthv2-rgb.py').write_text('')
    assert "its models and the configs differ: {'new_sthv2-rgb'}" in zoo('--check')


def test_a_new_folder_needs_a_readme_and_configs_only(zoo, copy):
    folder = copy / 'configs' / 'newest'
    folder.mkdir()
    (config,) = (copy / 'configs/m2a').glob('*-r18_*.py')
    (folder / 'mine.py').write_text(f"_base_ = '../m2a/{config.name}'\n")
    readme = (
        '# Newest\n\nNobody, *Temporal\nDifference*, 2026, [arXiv 1](https://arxiv.org/abs/1).\n'
    )
    (folder / 'README.md').write_text(f'{readme}\n<!-- zoo -->\n<!-- /zoo -->\n')
    assert zoo() is None
    assert zoo('--check') is None
    meta = yaml.safe_load((folder / 'metafile.yml').read_text())
    assert meta['Collections'] == [
        {
            'Name': 'Newest',
            'README': 'configs/newest/README.md',
            'Paper': {'URL': 'https://arxiv.org/abs/1', 'Title': 'Temporal Difference'},
        }
    ]
    index = yaml.safe_load((copy / 'model-index.yml').read_text())
    assert index['Import'] == [f'configs/{name}/metafile.yml' for name in ('ata', 'm2a', 'newest')]
    row = '| Something-Something V1 | 1 x 1 | 8 x 224 x 224 | 11.27 | 11.38 | 14.5 | 14.7 |'
    assert f'| [mine](mine.py) {row}' in (folder / 'README.md').read_text()

    (folder / 'README.md').write_text('# Newest\n<!-- zoo -->\n<!-- /zoo -->\n')
    assert 'configs/newest/README.md: expected "# NAME", then "*TITLE' in zoo()


def test_what_mim_reads():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    for file in index['Import']:
        meta = yaml.safe_load((ROOT / file).read_text())
        collections = {collection['Name'] for collection in meta['Collections']}
        for model in meta['Models']:
            assert model['In Collection'] in collections
            assert (ROOT / model['Config']).is_file()
            assert model['Metadata']['Parameters'].endswith('M')
            assert 'Weights' not in model or 'Results' in model
