"""A file that holds code is refused by whatever reads it, and the code does not run."""

import pickle
import re

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint

from ..engine.conftest import runner  # noqa: F401  a fixture
from .hostile import FORMS, GADGETS, checkpoint, pickles
from .hostile_tools import CLIP, CONFIG, OTHERS, ROOT, TOOLS


@pytest.fixture
def ran(tmp_path):
    """The folder that the payloads make."""
    return tmp_path / 'ran'


@pytest.mark.parametrize('gadget', GADGETS)
def test_the_payloads_are_live(gadget, ran):
    try:
        pickle.loads(pickles(ran)[gadget])
    except RuntimeError:  # torch finds no tensor where the payload was
        assert gadget == 'in a tensor'
    assert ran.is_dir()


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('gadget', GADGETS)
def test_readers_refuse(gadget, form, ran, tmp_path):
    path = tmp_path / 'hostile.pth'
    path.write_bytes(checkpoint(form, pickles(ran)[gadget]))
    for read in (read_checkpoint, load_dump, CheckpointLoader.load_checkpoint):
        with pytest.raises(ValueError, match='hostile.pth: not a '):
            read(str(path))
    assert not ran.exists()


def test_every_tool_is_tried(tmp_path):
    """What is a command of its own: a new tool is in one of the two lists, or this fails."""
    files = [path for folder in ('tools', 'demo') for path in ROOT.joinpath(folder).rglob('*.py')]
    own = re.compile("__name__ == '__main__'|sys.argv\\[")
    commands = {str(path.relative_to(ROOT)) for path in files if own.search(path.read_text())}
    (tmp_path / 'file').touch()
    tried = {command(str(tmp_path / 'file'), '', '')[0] for command in TOOLS.values()}
    assert commands == tried | OTHERS.keys() and not tried & OTHERS.keys()


@pytest.mark.parametrize('tool', TOOLS)
@pytest.mark.parametrize(
    'gadget', ['os.mkdir', pytest.param('STACK_GLOBAL', marks=pytest.mark.slow)]
)
def test_tools_refuse(call, motion_shapes, tool, gadget, ran, tmp_path):
    file = tmp_path / 'hostile.pth'
    form = 'zip' if gadget == 'os.mkdir' else 'pickle'
    file.write_bytes(checkpoint(form, pickles(ran)[gadget]))
    out = str(tmp_path / 'out')
    command = TOOLS[tool](str(file), str(motion_shapes), out)
    done = call(*command)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: ')
    assert not ran.exists()


def test_an_exported_network(call, ran, tmp_path):
    file = tmp_path / 'hostile.onnx'
    file.write_bytes(pickles(ran)['os.mkdir'])
    with pytest.raises(Exception, match='hostile.onnx'):
        call('demo/exported.py', str(file), CLIP)
    assert not ran.exists()


@pytest.mark.parametrize(
    'tool, form, more',
    [
        ('report_accuracy --coefficients 1 --preds', 'pickle', []),
        (f'eval_metric {CONFIG}', 'pickle', []),
        ('publish_model', 'zip', ['x.pth']),
    ],
)
def test_tools_of_mmaction2(call, tool, form, more, ran, tmp_path):
    file = tmp_path / 'hostile.pkl'
    file.write_bytes(checkpoint(form, pickles(ran)['os.mkdir']))
    done = call('tools/upstream.py', *tool.split(), str(file), *more)
    assert done.returncode == 1 and 'plain data' in done.stderr.splitlines()[-1]
    assert not ran.exists()


@pytest.mark.parametrize(
    ('tool', 'loader', 'data'),
    [
        ('train', 'train_dataloader', 'train_dataloader.dataset.dataset'),
        ('test', 'test_dataloader', 'test_dataloader.dataset'),
    ],
)
def test_a_list_of_clips_that_mmaction2_reads(call, ran, tmp_path, tool, loader, data):
    file, weights = tmp_path / 'skeletons.pkl', tmp_path / 'weights.pth'
    file.write_bytes(pickles(ran)['os.mkdir'])
    torch.save({'state_dict': {}}, weights)
    arguments = ['stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d']
    arguments += [str(weights)] * (tool == 'test')
    options = [f'{data}.ann_file={file}', f'{loader}.num_workers=0']
    options += [f'{loader}.persistent_workers=False']
    work = str(tmp_path / 'work')
    done = call(f'tools/{tool}.py', *arguments, '--work-dir', work, '--cfg-options', *options)
    assert done.returncode == 1
    assert 'that is not plain data: it holds posix.mkdir' in done.stderr.splitlines()[-1]
    assert not ran.exists()


@pytest.mark.slow
def test_the_leaderboard_lists_a_hostile_checkpoint_as_failed(run, motion_shapes, ran, tmp_path):
    file, runs = tmp_path / 'hostile.pth', tmp_path / 'runs.yml'
    file.write_bytes(checkpoint('zip', pickles(ran)['os.mkdir']))
    runs.write_text(f'- {{config: {CONFIG}, checkpoint: {file}}}\n')
    assert run('tools/leaderboard.py', str(runs), '--out', str(tmp_path / 'out')).returncode == 1
    assert '- emim_motionshapes: ' in (tmp_path / 'out' / 'leaderboard.md').read_text()
    assert not ran.exists()


@pytest.mark.parametrize('tag', ['object/apply:os.mkdir', 'object/new:os.mkdir', 'name:os.mkdir'])
def test_yaml_calls_nothing(call, tag, ran, tmp_path):
    file = tmp_path / 'runs.yml'
    file.write_text(f'- !!python/{tag} [{ran}]\n')
    done = call('tools/leaderboard.py', str(file), '--out', str(tmp_path / 'out'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'error: {file}: not YAML: ')
    assert not ran.exists()


@pytest.mark.parametrize('key', ['cfg', 'config'])
def test_resuming_does_not_run_the_config_in_a_checkpoint(runner, key, ran, tmp_path):  # noqa: F811
    """MMEngine runs it as Python; ours reads it, MMCV's of old is left out."""
    hooks = dict(
        resume=dict(type='SameTrainingHook', on_change='keep'),
        checkpoint=dict(type='CheckpointHook', interval=1),
    )
    runner(train_cfg=dict(by_epoch=True, max_epochs=1), default_hooks=hooks).train()
    path = tmp_path / 'epoch_1.pth'
    saved = torch.load(path, weights_only=True)
    saved['meta'][key] = f'import os\nos.mkdir({str(ran)!r})\n'
    torch.save(saved, path)
    cfg = dict(by_epoch=True, max_epochs=2)
    again = runner(train_cfg=cfg, default_hooks=hooks, resume=True, load_from=str(path))
    again.train()
    assert again.epoch == 2 and not ran.exists()
