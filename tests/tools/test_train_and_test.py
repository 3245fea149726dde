"""The main job through the real tools: train, resume, test, on one process and on two."""

import json
import re
import shutil
import sys
from pathlib import Path

import mmaction
import pytest
import torch

from ..conftest import ROOT
from ..ports import free_port

CONFIG = 'configs/emim_motionshapes.py'
UPSTREAM = Path(mmaction.__file__).parent / '.mim' / 'tools' / 'train.py'


def overrides(data, epochs=1, batch=16):
    loaders = [f'{name}_dataloader' for name in ('train', 'val', 'test')]
    return [
        '--cfg-options',
        *(f'{loader}.dataset.data_root={data}' for loader in loaders),
        *(f'{loader}.batch_size={batch}' for loader in loaders),
        f'train_cfg.max_epochs={epochs}',
        'train_cfg.val_interval=1',
        'default_hooks.checkpoint.interval=1',
        'default_hooks.resume.on_change=keep',  # tests train some epochs, then more
        'model.backbone.spatial_stride=1',
    ]


def top1(output):
    return re.findall(r'acc/top1: ([\d.]+)', output)[-1]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, run, motion_shapes):
    work = tmp_path_factory.mktemp('work')
    arguments = [CONFIG, '--work-dir', str(work), '--seed', '3', *overrides(motion_shapes)]
    done = run('tools/train.py', *arguments)
    assert done.returncode == 0, done.stderr
    (work / 'screen.txt').write_text(done.stdout + done.stderr)
    return work


def test_the_screen_has_what_a_person_reads_and_the_log_all(trained):
    """Of the real program, so that what torch and MMEngine say is there."""
    before, _, after = (trained / 'screen.txt').read_text().partition('Epoch(train)')
    assert len(before.splitlines()) < 20
    for said in (
        'model: EMIMUniFormer, I3DHead; ',
        'data: 48 training clips, 24 to validate on; clips a class: 0 4, 1 4,',
        'training view: 8 x 32 x 32',
        'steps: 3 of 16 clips, 1 epoch of 3',
        'device: ',
    ):
        assert said in before
    assert not re.search('warning', before + after, re.IGNORECASE)
    log = next(trained.glob('*/*.log')).read_text()
    assert 'System environment:' in log and 'Hooks will be executed' in log and 'Config:' in log


def weights(work, epoch=1):
    return torch.load(work / f'epoch_{epoch}.pth', weights_only=True)['state_dict']


def test_same_seed_same_weights(trained, run, motion_shapes, tmp_path):
    arguments = [CONFIG, '--work-dir', str(tmp_path), '--seed', '3', *overrides(motion_shapes)]
    assert run('tools/train.py', *arguments).returncode == 0
    ours, again = weights(trained), weights(tmp_path)
    assert all(torch.equal(ours[name], again[name]) for name in ours)


def test_resume_and_the_runner_in_the_wheel(trained, run, motion_shapes, tmp_path):
    work = tmp_path / 'work'
    shutil.copytree(trained, work)
    (work / 'last_checkpoint').write_text(str(work / 'epoch_1.pth'))
    arguments = [CONFIG, '--work-dir', str(work), '--resume', *overrides(motion_shapes, epochs=2)]
    done = run(str(UPSTREAM), *arguments)
    assert done.returncode == 0, done.stderr
    assert 'resumed epoch: 1' in done.stdout + done.stderr
    assert (work / 'epoch_2.pth').exists()


@pytest.mark.slow
def test_resumed_is_as_never_stopped(run, motion_shapes, tmp_path):
    def train(work, epochs, *arguments):
        options = [*arguments, *overrides(motion_shapes, epochs)]
        config = tmp_path / 'augmented.py'
        config.write_text(f"""
_base_ = '{ROOT / CONFIG}'
model = dict(backbone=dict(drop_path_rate=0.2))
train_pipeline = [*_base_.train_pipeline]
train_pipeline.insert(3, dict(type='RandAugment'))
train_dataloader = dict(
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(num_repeats=2, pipeline=train_pipeline),
)
""")
        done = run('tools/train.py', str(config), '--work-dir', str(tmp_path / work), *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    train('whole', 2, '--seed', '5')
    train('halves', 1, '--seed', '5')
    assert 'clips_per_s:' in train('halves', 2, '--resume')  # the seed is the checkpoint's
    whole, halves = (weights(tmp_path / work, epoch=2) for work in ('whole', 'halves'))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


@pytest.mark.slow
def test_switches_of_long_runs(run, motion_shapes, tmp_path):
    """Those of docs/training.md, together; two iterations make a step."""
    config = tmp_path / 'long.py'
    config.write_text(f"""
_base_ = '{ROOT / CONFIG}'
model = dict(backbone=dict(with_cp=[3]))
optim_wrapper = dict(accumulative_counts=2)
custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.5)]
auto_scale_lr = dict(base_batch_size=64)
""")
    work, switches = tmp_path / 'work', ('--amp', '--auto-scale-lr')
    options = [*switches, '--work-dir', str(work), *overrides(motion_shapes)]
    done = run('tools/train.py', str(config), *options)
    assert done.returncode == 0, done.stderr
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=True)
    assert checkpoint['optimizer']['state'][0]['step'] == 2  # 48 clips, 16 at a time: 2 and 1
    assert checkpoint['optimizer']['param_groups'][0]['initial_lr'] == 1.5e-3  # half the config's
    ema = {k.removeprefix('module.'): v for k, v in checkpoint['ema_state_dict'].items()}
    assert any(not torch.equal(v, ema[k]) for k, v in checkpoint['state_dict'].items())


@pytest.mark.slow
def test_two_processes_give_the_single_process_metric(trained, run, motion_shapes, tmp_path):
    # 23 clips in batches of 4: neither process nor batches come out even.
    lines = (motion_shapes / 'test.txt').read_text().splitlines(keepends=True)
    (motion_shapes / 'uneven.txt').write_text(''.join(lines[:23]))
    checkpoint = str(trained / 'epoch_1.pth')
    options = [
        *overrides(motion_shapes, batch=4),
        'test_dataloader.dataset.ann_file=uneven.txt',
    ]
    work = ['--work-dir', str(tmp_path)]
    one = run('tools/test.py', CONFIG, checkpoint, *work, *options)
    path = f'PATH={Path(sys.executable).parent}:/usr/bin:/bin'
    two = run(
        'env', path, f'PORT={free_port()}', 'tools/dist_test.sh', CONFIG, checkpoint, '2',
        *work, *options, python=False,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert top1(one.stdout) == top1(two.stdout)


@pytest.mark.slow
@pytest.mark.parametrize('amp', [[], ['--amp']], ids=['fp32', 'amp'])
def test_two_processes_train(run, motion_shapes, tmp_path, amp):
    path = f'PATH={Path(sys.executable).parent}:/usr/bin:/bin'
    done = run(
        'env', path, f'PORT={free_port()}', 'tools/dist_train.sh', CONFIG, '2', *amp,
        '--work-dir', str(tmp_path), *overrides(motion_shapes, batch=8), python=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'acc/top1' in done.stdout
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert all(x.isfinite().all() for x in checkpoint['state_dict'].values())


@pytest.mark.parametrize(
    'wrong, sentence',
    [
        ('model.backbone.windw=7', 'did you mean window'),
        ('modle.backbone.window=7', 'did you mean model'),
        ('model.backbone.type=EMIMUniformer', 'did you mean EMIMUniFormer'),
        ('model.backbone.window=4', 'window must be an odd integer of 3 or more, got 4'),
        ('train_dataloader.dataset.pipeline.1.clip_len=1', 'T of 2 or more'),
        ('train_dataloader.dataset.ann_file=gone.txt', 'gone.txt: no such annotation list'),
        ('train_dataloader.dataset.ann_file=bad_clip.txt', 'bad.mp4: clip'),
        (
            'train_dataloader.dataset.ann_file=bad_label.txt',
            'bad_label.txt:1: label must be',
        ),
        (  # a hook of ours says it, where the config dropped them, too
            'custom_hooks=[] optim_wrapper.optimizer.lr=1e30',
            'the loss is not finite; clips: ',
        ),
    ],
)
def test_one_clear_sentence_and_nothing_overwritten(trained, call, motion_shapes, wrong, sentence):
    (motion_shapes / 'bad.mp4').write_bytes(b'not a video')
    (motion_shapes / 'bad_clip.txt').write_text('bad.mp4 0\n' * 16)
    (motion_shapes / 'bad_label.txt').write_text('test/left/000000.mp4 12\n')

    def kept():
        return {p: p.stat().st_mtime_ns for p in trained.glob('[!.]*') if p.suffix in ('.pth', '')}

    files = {p: time for p, time in kept().items() if p.is_file()}
    arguments = [CONFIG, '--work-dir', str(trained), *overrides(motion_shapes), *wrong.split()]
    done = call('tools/train.py', *arguments)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ') and sentence in last, last
    assert {p: time for p, time in kept().items() if p.is_file()} == files


def test_log_is_json(trained):
    log = next(trained.glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert any('acc/top1' in json.loads(line) for line in log)
