import copy
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmaction_emim.datasets.feature_maps import FeatureMaps

from ..same_scores import lively_weights

TOOL = 'tools/extract_features.py'


@pytest.fixture(scope='module')
def network(root, motion_shapes, tmp_path_factory):
    """A config file on a few clips of MotionShapes, and weights."""
    folder = tmp_path_factory.mktemp('network')
    rows = (motion_shapes / 'train.txt').read_text().splitlines()
    (folder / 'list.txt').write_text('\n'.join([*rows[:3], 'gone.mp4 1']))
    data = dict(data_root=str(motion_shapes), ann_file=str(folder / 'list.txt'))
    loaders = ''.join(
        f'{split}_dataloader = dict(num_workers=0, persistent_workers=False, '
        f'dataset=dict(**{data}))\n'
        for split in ('train', 'val', 'test')
    )
    base = str(root / 'configs' / 'emim_motionshapes.py')
    (folder / 'config.py').write_text(f'_base_ = {base!r}\n{loaders}')
    weights = lively_weights(Config.fromfile(folder / 'config.py'))
    torch.save(dict(state_dict=weights), folder / 'weights.pth')
    return [str(folder / 'config.py'), str(folder / 'weights.pth')]


def test_maps(call, network, tmp_path):
    arguments = [TOOL, *network, '--maps', '--out', str(tmp_path / 'maps'), '--pool', '1', '2']
    done = call(*arguments, '--splits', 'train', '--views', '2')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: clips without maps: 1; ')
    assert done.stdout.splitlines() == [
        'train: 4 of 4 clips x 2 views of 8 x 64 x 1 x 2 (T x C x H x W): 16.4 kB',
        'train: 4 clips, 3 new, 0 kept, 1 cannot be read (failed.json)',
    ]
    done = call(*arguments)
    assert done.returncode == 1  # of train, where views were 2
    assert 'views was 2, now it is 1; give another --out' in done.stderr.splitlines()[-1]
    done = call(*arguments, '--splits', 'val', '--cfg-options', 'clip_len=4')
    assert FeatureMaps(tmp_path / 'maps' / 'val').shape == (1, 1, 4, 64, 1, 2)


def test_windows(call, network, motion_shapes, tmp_path):
    videos, out = tmp_path / 'videos', tmp_path / 'out'
    videos.mkdir()
    clip = next((motion_shapes / 'test').rglob('*.mp4'))  # others write broken ones beside it
    (videos / 'a.mp4').write_bytes(clip.read_bytes())
    arguments = [TOOL, *network, str(videos), '--out', str(out), '--stride', '6', '--span', '12']
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f'{out / "a.npz"}: 3 windows'
    assert np.load(out / 'a.npz')['features'].shape == (3, 64)
    (videos / 'b.mp4').write_bytes(b'')
    done = call(*arguments)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2:] == [
        f'{videos / "b.mp4"}: {videos / "b.mp4"}: the file is empty',
        'kept, since they are there: 1',
    ]
    assert done.stderr.splitlines()[-1] == 'error: videos without features: 1; see above'


@pytest.mark.parametrize(
    'options, message',
    [
        (['--maps', '--stride', '4'], '--stride has no effect with --maps'),
        (['x.mp4', '--no-augment'], '--no-augment has no effect without --maps'),
        (['x.mp4', '--maps'], 'INPUT or --maps: one of them is needed'),
        ([], 'INPUT or --maps: one of them is needed'),
        (['x.mp4', '--cfg-options', 'modle=1'], 'did you mean model?'),
    ],
    ids=' '.join,
)
def test_refuses(call, network, tmp_path, options, message):
    done = call(TOOL, *network, *options, '--out', str(tmp_path))
    assert done.returncode == 1 and message in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_half(root, call, network, motion_shapes, tmp_path):
    config = copy.copy(network)
    options = ['--maps', '--splits', 'train', '--batch-size', '1', '--views', '20']
    data = [f'train_dataloader.dataset.ann_file={motion_shapes / "train.txt"}']
    arguments = [TOOL, *config, *options, '--cfg-options', *data, '--out']
    whole = call(*arguments, str(tmp_path / 'whole'))
    assert whole.returncode == 0, whole.stderr
    killed = tmp_path / 'killed'
    for seed in range(3):
        command = [sys.executable, *arguments, str(killed)]
        process = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)
        count = len(list(killed.rglob('*.npy')))
        while process.poll() is None and len(list(killed.rglob('*.npy'))) < count + 3 + seed:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        maps = FeatureMaps(killed / 'train')
        for path in killed.rglob('*.npy'):
            maps.read(str(path.relative_to(killed / 'train'))[:-4], 19)
    done = call(*arguments, str(killed))
    assert done.returncode == 0 and ' 0 kept' not in done.stdout
    for path in (tmp_path / 'whole').rglob('*.npy'):
        assert path.read_bytes() == (killed / path.relative_to(tmp_path / 'whole')).read_bytes()
