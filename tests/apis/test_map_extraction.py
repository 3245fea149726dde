"""Feature maps are those of the backbone; what trains on them trains as without them."""

import copy
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mmaction_emim.apis import extract_maps, join_checkpoints
from mmaction_emim.apis.extraction import weights_hash
from mmaction_emim.datasets.feature_maps import FeatureMaps

from ..same_scores import lively_weights
from .test_stream import config_2d

CLIPS = 4


@pytest.fixture(scope='module')
def cfg(root, motion_shapes, tmp_path_factory) -> Config:
    """The network of MotionShapes, with a neck, on a few of its clips."""
    folder = tmp_path_factory.mktemp('lists')
    for split in ('train', 'test'):
        rows = (motion_shapes / f'{split}.txt').read_text().splitlines()
        some = rows[:: len(rows) // CLIPS][:CLIPS]
        (folder / f'{split}.txt').write_text('\n'.join(some))
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.train_dataloader.dataset.pipeline[1]['frame_interval'] = 2  # at a random start
    cfg.model.backbone.window = 3
    cfg.model.neck = dict(type='EMIMNeck', in_channels=64, window=3)
    cfg.model.cls_head.dropout_ratio = 0.5
    for split in ('train', 'val', 'test'):
        listed = folder / f'{"train" if split == "train" else "test"}.txt'
        data = dict(data_root=str(motion_shapes), ann_file=str(listed))
        cfg[f'{split}_dataloader'].dataset.update(data)
        cfg[f'{split}_dataloader'].update(batch_size=2, num_workers=0, persistent_workers=False)
    return cfg


@pytest.fixture(scope='module')
def weights(cfg, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=lively_weights(cfg)), path)
    return path


def extract(cfg, weights, out, **options):
    options = dict(device='cpu', say=lambda _: None, show_progress=False) | options
    return extract_maps(cfg, weights, out, **options)


@pytest.fixture(scope='module')
def out(cfg, weights, tmp_path_factory) -> Path:
    """float32, nothing augmented."""
    folder = tmp_path_factory.mktemp('maps')
    extract(cfg, weights, folder, dtype='float32', augment=False)
    return folder


def network(cfg, weights=None):
    init_default_scope('mmaction')
    model = MODELS.build(cfg.model).eval()
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True)['state_dict'])
    return model


def maps_dataset(out, split='val', **options):
    init_default_scope('mmaction')
    options = dict(ann_file=f'{split}.txt', data_prefix=dict(maps=split), num_classes=12) | options
    return DATASETS.build(dict(type='FeatureMapDataset', data_root=str(out), **options))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*.npy'))}


def on_maps(cfg: Config, out: Path) -> Config:
    """The config with maps in the place of clips and of the backbone."""
    cached = copy.deepcopy(cfg)
    cached.model.backbone = dict(type='FeatureMapBackbone', in_channels=64)
    cached.model.data_preprocessor = dict(type='ActionDataPreprocessor')
    for split in ('train', 'val'):
        cached[f'{split}_dataloader'].dataset = dict(
            type='FeatureMapDataset',
            data_root=str(out),
            ann_file=f'{split}.txt',
            data_prefix=dict(maps=split),
            num_classes=12,
            test_mode=split == 'val',
        )
    cached.test_dataloader = cached.val_dataloader
    return cached


def train(call, cfg: Config, weights: Path, folder: Path) -> list[float]:
    """What a training logs; its last checkpoint is ``epoch_1.pth``."""
    cfg = copy.deepcopy(cfg)
    cfg.load_from = str(weights)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(folder / 'config.py')
    options = [str(folder / 'config.py'), '--work-dir', str(folder), '--seed', '5']
    done = call('tools/train.py', *options)
    assert done.returncode == 0, done.stderr
    (log,) = folder.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row[key] for row in rows for key in ('loss', 'grad_norm', 'acc/top1') if key in row]


@pytest.fixture(scope='module')
def uncached(call, cfg, weights, tmp_path_factory) -> list[float]:
    """What training logs with the backbone frozen and nothing augmented."""
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'backbone.': dict(lr_mult=0)})
    return train(call, cfg, weights, tmp_path_factory.mktemp('uncached'))


def test_cached_training_is_uncached_training(call, cfg, weights, out, tmp_path, uncached):
    cached = train(call, on_maps(cfg, out), weights, tmp_path)
    assert len(cached) == 2 * 2 + 1 and len(set(cached)) == 5
    assert cached == pytest.approx(uncached, rel=1e-5)
    checkpoint = join_checkpoints(cfg, weights, tmp_path / 'epoch_1.pth')
    whole, reads = network(cfg), network(on_maps(cfg, out))
    whole.load_state_dict(checkpoint['state_dict'])
    reads.load_state_dict({k: x for k, x in whole.state_dict().items() if 'backbone' not in k})
    assert not torch.equal(
        whole.cls_head.fc_cls.weight, network(cfg, weights).cls_head.fc_cls.weight
    )
    clips, maps = DATASETS.build(cfg.val_dataloader.dataset), maps_dataset(out, test_mode=True)
    expected = reads.test_step(pseudo_collate([maps[1]]))[0].pred_score
    found = whole.test_step(pseudo_collate([clips[1]]))[0].pred_score
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_cached_training_in_float16(call, cfg, weights, tmp_path, uncached):
    extract(cfg, weights, tmp_path / 'maps', augment=False)
    cached = train(call, on_maps(cfg, tmp_path / 'maps'), weights, tmp_path)
    assert cached == pytest.approx(uncached, rel=2e-3)


def test_refuses_to_join_other_heads(cfg, weights, tmp_path):
    state = torch.load(weights, weights_only=True)['state_dict']
    del state['neck.norm.weight']
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other.pth: neck.norm.weight is none, .* \(64,\); its'):
        join_checkpoints(cfg, weights, tmp_path / 'other.pth')


class Patches(torch.nn.Module):
    """An image encoder of one layer."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Conv2d(3, 8, 8, 8)

    def forward(self, x):
        return self.embed(x)


def test_an_encoder_with_weights_of_its_own(cfg, tmp_path):
    cfg, patches = copy.deepcopy(cfg), Patches()
    torch.save(patches.state_dict(), tmp_path / 'patches.pth')
    cfg.model.backbone = dict(
        type='FrameEncoder', encoder=Patches, pretrained=str(tmp_path / 'patches.pth')
    )
    extract(cfg, None, tmp_path, splits=['val'], dtype='float32')
    clips, preprocess = DATASETS.build(cfg.val_dataloader.dataset), network(cfg).data_preprocessor
    clip = preprocess(pseudo_collate([clips[0]]))['inputs'][0, 0]  # (3, T, H, W)
    expected = patches(clip.transpose(0, 1)).detach()
    found = FeatureMaps(tmp_path / 'val').read(clips.get_data_info(0)['video_id'])[0]
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)

    (tmp_path / 'patches.pth').rename(tmp_path / 'moved.pth')
    cfg.model.backbone.pretrained = str(tmp_path / 'moved.pth')
    (report,) = extract(cfg, None, tmp_path, splits=['val'], dtype='float32')
    assert (report.written, report.kept) == (0, CLIPS)
    cfg.model.backbone.pool = 2
    with pytest.raises(
        ValueError, match='maps.json: network.backbone.pool was not set, now it is 2;'
    ):
        extract(cfg, None, tmp_path, splits=['val'], dtype='float32')
    torch.save(Patches().state_dict(), tmp_path / 'moved.pth')
    with pytest.raises(ValueError, match='maps.json: backbone_sha256 was'):
        extract(cfg, None, tmp_path, splits=['val'], dtype='float32')


def test_maps_are_the_backbones(cfg, weights, out):
    model, clips = network(cfg, weights), DATASETS.build(cfg.val_dataloader.dataset)
    maps = FeatureMaps(out / 'val')
    batch = model.data_preprocessor(pseudo_collate([clips[i] for i in range(CLIPS)]))
    with torch.no_grad():
        expected, _ = model.extract_feat(batch['inputs'], stage='backbone')
    for i in range(CLIPS):
        found = torch.from_numpy(maps.read(clips.get_data_info(i)['video_id']))
        torch.testing.assert_close(found, expected[i, None].transpose(1, 2), rtol=1e-4, atol=1e-4)


def test_pooled_halves(cfg, weights, out, tmp_path):
    extract(cfg, weights, tmp_path, splits=['val'], pool=(1, 2))
    full, small = FeatureMaps(out / 'val'), FeatureMaps(tmp_path / 'val')
    assert small.shape[-2:] == (1, 2) and small.dtype == 'float16'
    for name in (out / 'val.txt').read_text().splitlines():
        name = name.split()[0]
        whole = full.read(name)
        H, W = whole.shape[-2:]
        blocks = whole.reshape(*whole.shape[:-2], 1, H, 2, W // 2).mean((-3, -1))
        np.testing.assert_allclose(small.read(name), blocks, rtol=1e-3, atol=1e-3)


def test_a_view_is_the_same_whatever_the_list_holds(cfg, weights, tmp_path):
    extract(cfg, weights, tmp_path / 'all', splits=['train'], views=2, batch_size=1)
    part = copy.deepcopy(cfg)
    rows = Path(cfg.train_dataloader.dataset.ann_file).read_text().splitlines()
    part.train_dataloader.dataset.ann_file = str(tmp_path / 'part.txt')
    (tmp_path / 'part.txt').write_text('\n'.join(rows[:0:-1]))
    extract(part, weights, tmp_path / 'part', splits=['train'], views=2, batch_size=1, workers=1)
    every, some = files(tmp_path / 'all'), files(tmp_path / 'part')
    assert len(every) == CLIPS and some.items() <= every.items() and len(some) == CLIPS - 1
    views = [FeatureMaps(tmp_path / 'all' / 'train').read(row.split()[0], 1) for row in rows]
    first = [FeatureMaps(tmp_path / 'all' / 'train').read(row.split()[0], 0) for row in rows]
    assert any(not np.array_equal(a, b) for a, b in zip(first, views, strict=True))
    data = maps_dataset(tmp_path / 'all', 'train')
    drawn = {data[i]['inputs'].sum().item() for i in [*range(CLIPS)] * 10}
    assert CLIPS < len(drawn) <= 2 * CLIPS


def test_goes_on_where_it_was(cfg, weights, tmp_path):
    extract(cfg, weights, tmp_path, splits=['val'], batch_size=1)
    before = files(tmp_path)
    gone = tmp_path / sorted(before)[1]
    gone.rename(f'{gone}.part')  # as a kill leaves it
    Path(f'{gone}.part').write_bytes(before[str(gone.relative_to(tmp_path))][:100])
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.npy')}
    (report,) = extract(cfg, weights, tmp_path, splits=['val'], batch_size=1)
    assert (report.written, report.kept, report.failed) == (1, CLIPS - 1, {})
    assert files(tmp_path) == before
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())
    assert not list(tmp_path.rglob('*.part'))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(pool=(2, 2)), r'maps.json: pool was null, now it is \[2, 2\]'),
        (dict(splits=['test'], pool=(2, 2)), 'maps.json: pool was null'),  # beside val
        (dict(pool=(99, 2)), r'pool: the maps are \(\d+, \d+\) \(H, W\), got \(99, 2\)'),
        (dict(views=2), 'views must be 1 where nothing is drawn, got 2'),
        (dict(splits=['tset']), 'tset_dataloader: the config has none'),
        (dict(level=1), 'the backbone returns 1 maps'),
        (dict(batch_size=0), "{'batch_size': 0} must be whole numbers"),
    ],
    ids=str,
)
def test_refuses(cfg, weights, out, tmp_path, options, message):
    folder = tmp_path if 'was' not in message else out
    options = dict(dtype='float32', augment=False, splits=['val']) | options
    before = files(out)
    with pytest.raises(ValueError, match=message):
        extract(cfg, weights, folder, **options)
    assert files(out) == before


def test_refuses_other_weights(cfg, out, tmp_path):
    state = {name: x + 0.01 for name, x in lively_weights(cfg).items() if x.is_floating_point()}
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='backbone_sha256 was "[0-9a-f]{64}", now it is'):
        extract(cfg, tmp_path / 'other.pth', out, dtype='float32', augment=False)


def test_refuses_clips_of_another_folder(cfg, weights, out, motion_shapes, tmp_path):
    """Of the same names, whose maps would be taken for theirs."""
    (tmp_path / 'link').symlink_to(motion_shapes)
    (tmp_path / 'other').mkdir()
    cfg = copy.deepcopy(cfg)
    cfg.val_dataloader.dataset.data_root = str(tmp_path / 'link')
    extract(cfg, weights, out, dtype='float32', augment=False, splits=['val'])
    cfg.val_dataloader.dataset.data_root = str(tmp_path / 'other')
    with pytest.raises(ValueError, match=r'folders.0.video was ".*", now it is ".*other'):
        extract(cfg, weights, out, dtype='float32', augment=False, splits=['val'])


def test_the_hash_is_of_names_shapes_and_numbers():
    layer = torch.nn.Linear(2, 3)
    first = weights_hash(layer)
    assert first == weights_hash(layer) and first != weights_hash(torch.nn.Sequential(layer))
    with torch.no_grad():
        layer.bias[1] += 1
    assert weights_hash(layer) != first


def test_says_the_size_and_refuses_a_full_disk(cfg, weights, tmp_path):
    said = []
    with pytest.raises(OSError, match=r'the maps need [\d.]+ TB, and the disk has .* free; --pool'):
        extract(cfg, weights, tmp_path, splits=['train'], views=10**9, say=said.append)
    found = re.match(r'train: 4 of 4 clips x 1000000000 views of 8 x 64 x (\d+) x (\d+) ', said[0])
    size = 4 * 10**9 * 8 * 64 * int(found[1]) * int(found[2]) * 2
    assert said[0].endswith(f': {size / 1e12:.3g} TB')
    assert not list(tmp_path.iterdir())


def test_a_clip_that_fails_is_left_out_and_counted(cfg, weights, motion_shapes, tmp_path):
    rows = Path(cfg.val_dataloader.dataset.ann_file).read_text().splitlines()
    (tmp_path / 'list.txt').write_text('\n'.join([*rows[:2], 'gone.mp4 3']))
    cfg = copy.deepcopy(cfg)
    cfg.val_dataloader.dataset.ann_file = str(tmp_path / 'list.txt')
    (report,) = extract(cfg, weights, tmp_path / 'maps', splits=['val'])
    assert report.written == 2 and list(report.failed) == ['gone.mp4']
    data = maps_dataset(tmp_path / 'maps', test_mode=True)
    assert data[2]['data_samples'].metainfo['failed'] and data[2]['data_samples'].gt_label == 3
    assert 'failed' not in data[1]['data_samples'].metainfo
    (tmp_path / 'maps' / 'val' / 'failed.json').unlink()
    with pytest.raises(ValueError, match='no maps of 1 of the 3 clips of .*such as gone.mp4'):
        maps_dataset(tmp_path / 'maps')


def test_views_of_a_test_for_networks_on_single_frames(motion_shapes, cfg, tmp_path):
    """Three crops of a clip: the scores of Recognizer2D, and maps of one view at a time in 3-D."""
    config = config_2d()
    del config.model.neck
    pipeline = config.test_dataloader.dataset.pipeline
    pipeline[3]['scale'], pipeline[4] = (48, 32), dict(type='ThreeCrop', crop_size=32)
    pipeline[3]['keep_ratio'] = False
    data = dict(cfg.val_dataloader.dataset, pipeline=pipeline)
    config.val_dataloader = dict(batch_size=1, dataset=data)
    torch.save(dict(state_dict=lively_weights(config)), tmp_path / 'weights.pth')
    extract(config, tmp_path / 'weights.pth', tmp_path, splits=['val'], dtype='float32')
    assert FeatureMaps(tmp_path / 'val').shape[:3] == (1, 3, 4)
    load = dict(type='LoadFeatureMap', input_format='NCHW')
    pipelines = [load, dict(type='PackActionInputs')]
    maps = maps_dataset(tmp_path, pipeline=pipelines, test_mode=True)
    clips = DATASETS.build(data)
    model = network(config, tmp_path / 'weights.pth')
    cached = copy.deepcopy(config)
    cached.model.backbone = dict(type='FeatureMapBackbone')
    del cached.model.data_preprocessor
    reads = network(cached)
    reads.load_state_dict(model.state_dict(), strict=False)
    for i in range(2):
        expected = model.test_step(pseudo_collate([clips[i]]))[0].pred_score
        found = reads.test_step(pseudo_collate([maps[i]]))[0].pred_score
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    views = maps_dataset(tmp_path, test_mode=True)[0]['inputs']  # (crops, C, T, H, W)
    flat = maps[0]['inputs'].reshape(3, 4, *views.shape[1:2], *views.shape[3:])
    assert torch.equal(views.transpose(1, 2), flat)


def test_one_of_several_maps(cfg, tmp_path):
    config = config_2d()
    config.model.backbone.update(num_stages=2, out_indices=(0, 1), strides=(1, 2), dilations=(1, 1))
    config.model.cls_head.in_channels = 128
    del config.model.neck
    data = dict(cfg.val_dataloader.dataset, pipeline=config.test_dataloader.dataset.pipeline)
    config.val_dataloader = dict(batch_size=1, dataset=data)
    torch.save(dict(state_dict=lively_weights(config)), tmp_path / 'weights.pth')
    with pytest.raises(ValueError, match='returns several maps, .* say which, from 0'):
        extract(config, tmp_path / 'weights.pth', tmp_path, splits=['val'])
    extract(config, tmp_path / 'weights.pth', tmp_path, splits=['val'], level=1)
    assert FeatureMaps(tmp_path / 'val').shape.C == 128


def test_values_that_float16_has_no_room_for(cfg, weights, tmp_path):
    state = torch.load(weights, weights_only=True)['state_dict']
    scaled = {k: x * 1e7 if k == 'backbone.norm.weight' else x for k, x in state.items()}
    torch.save(dict(state_dict=scaled), tmp_path / 'large.pth')
    with pytest.raises(ValueError, match='the backbone gave .*, which does not fit float16'):
        extract(cfg, tmp_path / 'large.pth', tmp_path / 'maps', splits=['val'])
    assert not os.path.exists(tmp_path / 'maps')


def test_no_clip_that_can_be_read_is_an_error_at_once(cfg, weights, tmp_path):
    (tmp_path / 'list.txt').write_text('gone.mp4 0\nlost.mp4 1')
    cfg = copy.deepcopy(cfg)
    cfg.val_dataloader.dataset.ann_file = str(tmp_path / 'list.txt')
    with pytest.raises(ValueError, match='none of the first 8 clips can be read; lost.mp4: .*lost'):
        extract(cfg, weights, tmp_path / 'maps', splits=['val'])
    assert not (tmp_path / 'maps').exists()


def test_several_labels_stay(cfg, weights, tmp_path):
    rows = Path(cfg.val_dataloader.dataset.ann_file).read_text().splitlines()
    (tmp_path / 'list.txt').write_text(f'{rows[0].split()[0]} 1 5 7')
    cfg = copy.deepcopy(cfg)
    cfg.val_dataloader.dataset.update(ann_file=str(tmp_path / 'list.txt'), multi_class=True)
    extract(cfg, weights, tmp_path, splits=['val'])
    data = maps_dataset(tmp_path, multi_class=True)
    assert data.get_data_info(0)['label'].nonzero().flatten().tolist() == [1, 5, 7]
