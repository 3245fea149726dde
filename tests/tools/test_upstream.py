"""MMAction2's own tools, run by ours, on a config of this project."""

import importlib.util

import pytest

from mmaction_emim.utils.command_line import find_upstream_tool, upstream_tools

CONFIG = 'configs/emim_motionshapes.py'
no_moviepy = pytest.mark.skipif(
    importlib.util.find_spec('moviepy') is None, reason='moviepy is missing: the extra [upstream]'
)


def moviepy(test):
    """Marks a test that needs it."""
    return pytest.mark.extras(no_moviepy(test))


@pytest.fixture(scope='module')
def checkpoint(call, motion_shapes, tmp_path_factory):
    """MMEngine's own, with its log history, after two iterations of real training."""
    work = tmp_path_factory.mktemp('work')
    options = [f'data_root={motion_shapes}', 'train_cfg.max_epochs=1']
    options += ['train_dataloader.dataset.indices=4', 'train_dataloader.batch_size=2']
    options += ['train_cfg.val_interval=9', 'model.backbone.window=3']
    done = call('tools/train.py', CONFIG, '--work-dir', str(work), '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return work / 'epoch_1.pth'


def test_finds_tools_by_name_and_by_path(tmp_path):
    expected = upstream_tools() / 'analysis_tools' / 'confusion_matrix.py'
    for name in (
        'confusion_matrix',
        'confusion_matrix.py',
        'tools/analysis_tools/confusion_matrix',
    ):
        assert find_upstream_tool(name) == expected
    (tmp_path / 'own.py').touch()
    assert find_upstream_tool(str(tmp_path / 'own.py')) == tmp_path / 'own.py'


@pytest.mark.parametrize(
    'name, message',
    [
        ('confusion_matrx', 'did you mean confusion_matrix'),
        ('download', 'several tools of MMAction2 have this name: data/activitynet/download'),
    ],
)
def test_says_what_it_does_not_find(name, message):
    with pytest.raises(ValueError, match=message):
        find_upstream_tool(name)


def test_publish_model(run, call, checkpoint, tmp_path):
    done = run('tools/upstream.py', 'publish_model', str(checkpoint), str(tmp_path / 'x.pth'))
    assert done.returncode == 0, done.stderr
    (published,) = tmp_path.glob('x_*.pth')
    assert published.stat().st_size < checkpoint.stat().st_size / 2
    done = call('tools/upstream.py', 'publish_model', 'no.pth', 'x.pth')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: [Errno 2] No such file or directory: 'no.pth'"


def test_vis_scheduler(call, motion_shapes, tmp_path, monkeypatch):
    monkeypatch.setenv('MPLBACKEND', 'Agg')
    path = tmp_path / 'lr.png'
    options = ['--cfg-options', f'work_dir={tmp_path}', 'train_cfg.max_epochs=2']
    arguments = ['-d', '32', '--not-show', '-s', str(path), *options]
    done = call('tools/upstream.py', 'vis_scheduler', CONFIG, *arguments)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > 10_000


@pytest.mark.slow
def test_confusion_matrix(run, checkpoint, motion_shapes, tmp_path):
    path = tmp_path / 'matrix.png'
    options = [f'test_dataloader.dataset.data_root={motion_shapes}', 'model.backbone.window=3']
    arguments = [CONFIG, str(checkpoint), '--show-path', str(path), '--cfg-options', *options]
    done = run('tools/upstream.py', 'confusion_matrix', *arguments)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > 10_000


@moviepy
def test_browse_dataset(run, motion_shapes, tmp_path):
    options = ['--cfg-options', f'train_dataloader.dataset.data_root={motion_shapes}']
    arguments = [CONFIG, str(tmp_path), '-n', '2', *options]
    done = run('tools/upstream.py', 'browse_dataset', *arguments)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob('*.mp4'))) == 2


@moviepy
@pytest.mark.parametrize('layer', ['backbone/norm', 'backbone/blocks3/0'])
def test_vis_cam(run, checkpoint, motion_shapes, tmp_path, layer):
    clip = next((motion_shapes / 'test').rglob('*.mp4'))
    path = tmp_path / 'cam.gif'
    arguments = [CONFIG, str(checkpoint), str(clip), '--device', 'cpu', '--out-filename', str(path)]
    options = ['--target-layer-name', layer, '--cfg-options', 'model.backbone.window=3']
    done = run('tools/upstream.py', 'vis_cam', *arguments, *options)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > 1000


@moviepy
@pytest.mark.parametrize('kind, suffix', [('video', 'mp4'), ('gif', 'gif')])
def test_video_of_the_inferencer(root, checkpoint, motion_shapes, tmp_path, kind, suffix):
    from mmaction.apis import MMAction2Inferencer

    clip = next((motion_shapes / 'test').rglob('*.mp4'))
    inferencer = MMAction2Inferencer(
        rec=str(root / CONFIG), rec_weights=str(checkpoint), device='cpu'
    )
    inferencer(str(clip), vid_out_dir=str(tmp_path), out_type=kind)
    assert (tmp_path / f'{clip.stem}.{suffix}').stat().st_size > 1000
