"""The commands of the pages that a newcomer reads go through, on clips of three classes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from . import in_process
from .conftest import ROOT
from .own_clips import write_own_clips
from .ports import free_port
from .several_labels import write_clips

PAGES = (
    'install',
    'own_data',
    'fine_tuning',
    'multi_label',
    'log',
    'results',
    'predict',
    'stream',
    'motion_field',
    'motion_report',
    'faq',
)
# What stands in for the reader's own; longer names first.
SUBSTITUTES = {
    r'configs/emim_sthv2\.py|data/NAME/NAME\.py|emim_sthv2(?= )|CONFIG': 'data/own/own.py',
    r'load_from=CHECKPOINT': 'load_from=demo/emim_motionshapes.pth',
    r'[\w/]*epoch_\d+\.pth|CHECKPOINT': 'work_dirs/own/epoch_1.pth',
    r'data/(sthv2|NAME)/label_map\.txt': 'data/own/label_map.txt',
    r'FOLDER|data/sthv2/videos': 'clips',
    r'videos/': 'clips/clap',  # of which none is broken
    r'clip\.mp4|CLIP(?!S)|long\.mp4|rtsp:\S+': 'clips/clap/p00_0.MP4',
    r'emim_k400 epoch_110\.pth': 'emim_motionshapes demo/emim_motionshapes.pth',
    r'LABELS': 'data/own/label_map.txt',
    r'docs/pictures/': '',
    r'/0000\d\d\.mp4': '/000001.mp4',  # of the few that are generated here
    r'(train|test)\.txt': r'\1_list.txt',
    r'person\\d': r'p\\d',
    r'NAME': 'own',
    r'generate\.py': 'generate.py --train 2 --test 2',
}
# On the page on clips with several labels.
SEVERAL = {
    r'data/NAME/NAME\.py': 'data/several/several.py',
    r'data/NAME/label_map\.txt': 'data/several/label_map.txt',
    r'data/NAME|work_dirs/NAME': lambda found: found[0].replace('NAME', 'several'),
    r'[\w/]*epoch_\d+\.pth': 'work_dirs/several/epoch_1.pth',
    r'FOLDER': 'several',
    r'labels\.csv': 'several/labels.csv',
    r'--multi-label': '--multi-label --network tiny --workers 1',
    r'clip\.mp4': "'several/a clip 0.mp4'",
}
# What is not run, and why.
NOT_RUN = {
    'data/digits': 'public clips',
    'init_cfg.checkpoint=FILE': 'the weights that a config names by an address',
    'convert_emim.py theirs.pyth': 'a file of the authors; tests/tools/test_convert.py has one',
    'pip uninstall': 'it would change the environment of the tests',
    'opencv-contrib-python-headless==': 'likewise',
    'torchvision': 'not in the environment of the tests',
    'pip check': 'an environment without OpenCV',
    'apt-get install': 'root',
    'tools/slurm_train.sh': 'Slurm; tests/reliability/test_slurm.py has a stand-in',
    'NNODES=2': 'two nodes; tests/tools/test_dist_train.py looks at the command',
    'stream.py 0 ': 'a camera',
    'benchmarks/stream.py': 'minutes, an hour',
    'torchrun': 'eight processes; tests/tools/test_motion_report.py has two',
    'pip install tensorboard': 'not in the environment of the tests',
    'tail -f': 'it does not end',
    'kill 4711': 'a process of the reader',
    'cat work_dirs/NAME/failed_clips_train.txt': 'a clip that fails in training',
    'path,class': 'a table',
    '.mp4,': 'a table',
    'Epoch(train)': 'a log',
    'grad_norm:': 'a log',
    'val_evaluator = ': 'of a config; tests/evaluation/test_class_report.py has one',
    'dataset=dict(': 'of a config',
    "dict(type='Flip'": 'of a config',
}
# Steps enough to see it go on, at the end of the config that prepare.py wrote.
SHORT = """
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1))
param_scheduler = []
"""
LOADER = dict(num_workers=0, persistent_workers=False)
SHORT += ''.join(f'{x}_dataloader.update({LOADER})\n' for x in ('train', 'val', 'test'))


def commands(page: str) -> Iterator[str]:
    """The commands of a page, in blocks of four spaces and in sentences, each on one line."""
    text = (ROOT / 'docs' / f'{page}.md').read_text().replace('\\\n', ' ')
    text = re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r'^    (\S.*)$', text, re.MULTILINE)
    found += re.findall(r'`((?:python|pip|make) [^`]*)`', text)
    for line in found:
        yield re.sub(r'\s+', ' ', line.split(' # ')[0]).strip()


def checkout(folder: Path) -> Path:
    """The project without its packages, which are imported, for what commands write into it."""
    for name in ('configs', 'demo', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    """A checkout with clips that are prepared and a network that was trained."""
    place = checkout(tmp_path_factory.mktemp('checkout'))
    write_own_clips(place / 'clips', count=18)
    write_clips(place / 'several', count=12)
    (place / 'train_list.txt').write_text('clap/p00_0.MP4\njump/p01_7.mpg\nwave/p00_2.mkv\n')
    (place / 'test_list.txt').write_text('wave/p00_5.ts\n')
    prepare = ['tools/data/own/prepare.py', 'clips', 'data/own', '--network', 'tiny']
    done = in_process.call(place, *prepare, '--workers', '1')
    assert done.returncode == 0, done.stderr
    shapes = ['tools/data/motion_shapes/generate.py', '--train', '2', '--test', '2']
    assert in_process.call(place, *shapes).returncode == 0
    config = place / 'data' / 'own' / 'own.py'
    config.write_text(config.read_text() + SHORT)
    done = in_process.call(place, 'tools/train.py', 'data/own/own.py')
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES)
def test_the_commands_of_a_page(page, place):
    for number, command in enumerate(commands(page)):
        if any(part in command for part in NOT_RUN) or is_of_several(command, page):
            continue
        if 'prepare.py' in command and page != 'multi_label':  # lists and a config of its own
            command = command.replace('data/NAME', f'data/try{number}')
        for pattern, value in (SEVERAL if page == 'multi_label' else SUBSTITUTES).items():
            command = re.sub(pattern, value, command)
        if command.startswith('python ') and ' -c ' not in command:
            done = in_process.call(place, *shlex.split(command)[1:])
        else:
            done = in_a_shell(command, place)
        assert done.returncode == 0, f'{command}\n{done.stdout[-2000:]}{done.stderr}'
        if '--multi-label' in command:
            config = place / 'data' / 'several' / 'several.py'
            config.write_text(config.read_text() + SHORT)


def is_of_several(command: str, page: str) -> bool:
    """On another page: a command for a test with several labels, which that page alone makes."""
    return '--threshold' in command and page != 'multi_label'


def in_a_shell(command: str, place: Path) -> subprocess.CompletedProcess:
    """Any other command, with what it must not change left alone."""
    if command.startswith(('import ', 'from ')):
        command = f'python -c {shlex.quote(command)}'
    if command.startswith('make '):
        place, command = ROOT, command.replace('make ', 'make -n ', 1)
    if command.startswith('pip '):
        # What is asked for is installed; of another version pip would have to look elsewhere.
        dry = 'python -m pip install --dry-run --no-index --no-build-isolation'
        place, command = ROOT, command.replace('pip install', dry)
    command = command.replace('less ', 'cat ').replace(' 8 ', ' 2 --work-dir work_dirs/two ')
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    environment = {**os.environ, 'PATH': path, 'PORT': free_port()}
    return subprocess.run(
        command, shell=True, cwd=place, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path):
    """Every cell in a kernel of its own, as in a browser; from a folder to a motion picture."""
    import nbformat
    from nbclient import NotebookClient

    place = checkout(tmp_path)
    notebook = nbformat.read(ROOT / 'demo' / 'tutorial.ipynb', as_version=4)
    # IPython goes on after a command that failed.
    check = r'\1\nassert _exit_code == 0'
    for cell in notebook.cells:
        cell.source = re.sub(r'^(!.*)$', check, cell.source, flags=re.MULTILINE)
    environment = {'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    with patch.dict(os.environ, environment):
        resources = {'metadata': {'path': str(place)}}
        NotebookClient(notebook, timeout=900, startup_timeout=900, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', ())]
    said = ''.join(output.get('text', '') for output in outputs)
    assert 'left out' in said
    assert float(re.findall(r'acc/top1: ([\d.]+)', said)[-1]) > 0.6  # of three classes
    pictures = {kind for output in outputs for kind in output.get('data', ()) if 'image' in kind}
    assert pictures == {'image/png', 'image/gif'}


def test_what_is_not_run_is_on_a_page():
    listed = ' '.join(command for page in PAGES for command in commands(page))
    assert [part for part in NOT_RUN if part not in listed] == []
