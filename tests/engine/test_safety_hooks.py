"""Configs that do not stand on ``default_runtime.py`` train with its hooks all the same."""

import copy
import pickle

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmaction_emim.engine.checkpoint_hook import DurableCheckpointHook
from mmaction_emim.engine.safety_hooks import add_safety_hooks
from mmaction_emim.engine.stop_at_nan_hook import StopAtNaNHook


def test_what_a_config_has_is_left_as_it_is():
    given = dict(
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=7), resume=None),
        custom_hooks=[
            dict(type='EMAHook'),
            dict(type=StopAtNaNHook, max_skipped=3),
            dict(type='ForeignCheckpointHook'),  # the former name of one
            dict(type='mmaction.EpochSeedHook'),
        ],
    )
    cfg = Config(copy.deepcopy(given))
    (said,) = add_safety_hooks(cfg)
    assert cfg.default_hooks.resume is None
    assert cfg.default_hooks.checkpoint.interval == 7
    assert [*cfg.custom_hooks[-4:]] == given['custom_hooks']
    added = ['TrainingCheckHook', 'ThroughputHook', 'ChanceLossHook', 'FailedClipsHook']
    assert [hook['type'] for hook in cfg.custom_hooks[:-4]] == added
    assert said == (
        f'hooks that the config lacks: DurableCheckpointHook, {", ".join(added)}; '
        'safety_hooks=False leaves them out'
    )


class Mine(CheckpointHook):
    pass


@pytest.mark.parametrize(
    'checkpoint', [None, dict(type=Mine), DurableCheckpointHook()], ids=['none', 'mine', 'built']
)
def test_another_checkpoint_hook_stays(checkpoint):
    cfg = Config(dict(default_hooks=dict(checkpoint=checkpoint)))
    add_safety_hooks(cfg)
    assert cfg.default_hooks['checkpoint'] == checkpoint


@pytest.mark.parametrize(
    'other', [dict(out_dir='s3://bucket/runs'), dict(backend_args=dict(backend='petrel'))]
)
def test_checkpoints_elsewhere_keep_their_backend(other):
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', **other))))
    add_safety_hooks(cfg)
    assert cfg.default_hooks.checkpoint == dict(type='DurableCheckpointHook', **other)


def test_a_config_may_have_none():
    cfg = Config(dict(safety_hooks=False))
    assert add_safety_hooks(cfg) == [] and [*cfg] == ['safety_hooks']


UPSTREAM = 'tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py'


@pytest.mark.slow
def test_a_config_of_mmaction2_stops_at_nan(call, motion_shapes, tmp_path):
    """Its rate explodes; it would end with status 0 and a checkpoint of NaN."""
    mine, clips = tmp_path / 'mine.py', motion_shapes / 'train.txt'
    (tmp_path / 'clips.txt').write_text(''.join(clips.read_text().splitlines(keepends=True)[:4]))
    mine.write_text(f"""
_base_ = 'mmaction::recognition/{UPSTREAM}'
custom_imports = dict(imports=['mmaction_emim'])
model = dict(backbone=dict(depth=18, pretrained=None), cls_head=dict(in_channels=512))
optim_wrapper = dict(optimizer=dict(lr=1e20), clip_grad=None)
""")
    options = ['train_dataloader.batch_size=1', 'train_cfg.max_epochs=1']
    for split in ('train', 'val'):
        loader = f'{split}_dataloader'
        options += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
        options += [f'{loader}.dataset.ann_file={tmp_path / "clips.txt"}']
        options += [f'{loader}.dataset.data_prefix.video={motion_shapes}']
    work = tmp_path / 'work'
    done = call('tools/train.py', str(mine), '--work-dir', str(work), '--cfg-options', *options)
    assert done.returncode == 1
    assert 'the loss is not finite; clips: ' in done.stderr
    assert not list(work.glob('*.pth'))
    assert 'hooks that the config lacks: SameTrainingHook, DurableCheckpointHook' in done.stdout


@pytest.mark.slow
def test_skeletons_of_mmaction2(call, tmp_path):
    """Another kind of data and network, with all hooks; the list is a pickle."""
    rng, clips = np.random.default_rng(0), []
    for number in range(8):
        points = rng.standard_normal((1, 20, 17, 2)).astype(np.float16)
        score = np.ones((1, 20, 17), np.float16)
        clip = dict(keypoint=points, keypoint_score=score, total_frames=20, label=number % 2)
        clips.append(clip | dict(frame_dir=str(number), img_shape=(1080, 1920)))
    names = [clip['frame_dir'] for clip in clips]
    listed = dict(split=dict(xsub_train=names, xsub_val=names), annotations=clips)
    (tmp_path / 'list.pkl').write_bytes(pickle.dumps(listed))
    options = ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=2']
    options += [f'train_dataloader.dataset.dataset.ann_file={tmp_path / "list.pkl"}']
    options += [f'val_dataloader.dataset.ann_file={tmp_path / "list.pkl"}']
    for split in ('train', 'val'):
        loader = f'{split}_dataloader'
        options += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    work = tmp_path / 'work'
    config = 'stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d'
    done = call('tools/train.py', config, '--work-dir', str(work), '--cfg-options', *options)
    assert done.returncode == 0, done.stderr
    assert 'hooks that the config lacks' in done.stdout and 'acc/top1' in done.stdout
    assert (work / 'last_checkpoint').read_text() == str(work / 'epoch_1.pth')
