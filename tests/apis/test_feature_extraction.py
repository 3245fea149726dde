"""A vector a window: those of the network's features, at the right times."""

import json

import numpy as np
import pytest
import torch
from mmaction.datasets.transforms import LoadLocalizationFeature
from mmengine.config import Config

from mmaction_emim.apis import MotionInferencer, extract_features
from mmaction_emim.datasets.reader import VideoReader

from ..datasets.numbered_clips import FRAMES, write
from ..same_scores import lively_weights
from .test_stream import config_2d

FPS = 25


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    (folder / 'a').mkdir()
    write(folder / 'a' / 'one.MP4')
    write(folder / 'two.webm', 'libvpx', frames=20)
    write(folder / 'short.mp4', frames=5)
    return folder


@pytest.fixture(scope='module')
def cfg():
    return config_2d()


@pytest.fixture(scope='module')
def weights(cfg, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=lively_weights(cfg)), path)
    return path


@pytest.fixture(scope='module')
def model(cfg, weights):
    return MotionInferencer(cfg, weights, 'cpu', show_progress=False)


def extract(cfg, weights, videos, out, **options):
    return list(extract_features(cfg, weights, videos, out, device='cpu', **options))


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def expected(model, images, stage='neck'):
    """The mean of the feature map of frames that go through the test pipeline."""
    inputs = model.model_inputs([model.load(images)])
    with torch.no_grad():
        if stage == 'backbone':
            x = model.model.backbone(inputs.flatten(0, 1))
        else:
            x, _ = model.model.extract_feat(inputs, test_mode=True)
    return x.mean((2, 3)).mean(0)


@pytest.mark.parametrize('stage', ['neck', 'backbone'])
def test_a_window_has_the_features_of_its_frames(cfg, weights, model, videos, tmp_path, stage):
    options = dict(span=8, stride=5, batch_size=3, stage=stage)
    (report,) = extract(cfg, weights, videos / 'a' / 'one.MP4', tmp_path, **options)
    found = load(tmp_path / 'one.npz')
    assert report.file == tmp_path / 'one.npz' and report.windows == (FRAMES - 8) // 5 + 1
    assert (found['fps'], found['span'], found['stride']) == (FPS, 8, 5)
    starts = np.arange(report.windows) * 5
    np.testing.assert_allclose(found['start'], starts / FPS, atol=1e-6)
    np.testing.assert_allclose(found['end'], (starts + 8) / FPS, atol=1e-6)
    assert found['features'].dtype == np.float32
    reader = VideoReader(str(videos / 'a' / 'one.MP4'))
    for row, start in zip(found['features'], starts, strict=True):
        vector = expected(model, np.asarray(reader.get_batch(range(start, start + 8))), stage)
        torch.testing.assert_close(torch.from_numpy(row), vector, rtol=1e-4, atol=1e-5)


def test_a_folder_has_a_file_a_video_and_broken_ones_are_reported(cfg, weights, videos, tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for path in videos.rglob('*.*'):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / 'cut.mp4').write_bytes((folder / 'one.MP4').read_bytes()[:900])
    reports = extract(cfg, weights, folder, tmp_path / 'out', span=8, stride=8)
    assert {r.file.name: r.windows for r in reports} == {
        'cut.npz': None,
        'one.npz': 5,
        'short.npz': 1,
        'two.npz': 2,
    }
    assert [r.name.rpartition('/')[2] for r in reports if r.error] == ['cut.mp4']
    before = (tmp_path / 'out' / 'two.npz').read_bytes()
    (tmp_path / 'out' / 'two.npz').unlink()
    (folder / 'cut.mp4').unlink()
    again = extract(cfg, weights, folder, tmp_path / 'out', span=8, stride=8)
    assert [r.windows for r in again] == [None, None, 2]
    assert (tmp_path / 'out' / 'two.npz').read_bytes() == before
    assert load(tmp_path / 'out' / 'short.npz')['end'] == pytest.approx([5 / FPS])
    with pytest.raises(ValueError, match='features.json: stride was 8, now it is 4; give another'):
        extract(cfg, weights, folder, tmp_path / 'out', span=8, stride=4)


def test_a_clip_as_a_whole(cfg, weights, model, videos, tmp_path):
    (tmp_path / 'list.txt').write_text('a/one.MP4 3\ntwo.webm\n')
    options = dict(whole=True, root=videos)
    extract(cfg, weights, tmp_path / 'list.txt', tmp_path / 'out', **options)
    found = load(tmp_path / 'out' / 'a' / 'one.npz')
    reader = VideoReader(str(videos / 'a' / 'one.MP4'))
    vector = expected(model, np.asarray(reader.get_batch(range(FRAMES))))
    torch.testing.assert_close(torch.from_numpy(found['features'][0]), vector)
    assert (found['start'], found['end']) == ([0], pytest.approx([FRAMES / FPS]))


def test_other_formats(cfg, weights, videos, tmp_path):
    """The array that ActionFormer and OpenTAD read, the table that MMAction2's localizers read."""
    for kind in ('npz', 'npy', 'csv'):
        options = dict(span=8, stride=8, file_format=kind)
        extract(cfg, weights, videos / 'two.webm', tmp_path / kind, **options)
    features = load(tmp_path / 'npz' / 'two.npz')['features']
    np.testing.assert_array_equal(np.load(tmp_path / 'npy' / 'two.npy'), features)
    read = LoadLocalizationFeature().transform(dict(feature_path=tmp_path / 'csv' / 'two.csv'))
    np.testing.assert_allclose(read['raw_feature'], features.T, rtol=1e-6)
    times = json.loads((tmp_path / 'npy' / 'two.json').read_text())
    assert times['start'] == pytest.approx([0, 8 / FPS]) and times['stride'] == 8


def test_several_maps_are_joined(videos, tmp_path):
    cfg = config_2d()
    cfg.model.backbone.update(num_stages=2, out_indices=(0, 1), strides=(1, 2), dilations=(1, 1))
    del cfg.model.neck
    torch.save(dict(state_dict=lively_weights(cfg)), tmp_path / 'weights.pth')
    extract(cfg, tmp_path / 'weights.pth', videos / 'two.webm', tmp_path / 'out', stage='backbone')
    assert load(tmp_path / 'out' / 'two.npz')['features'].shape[1] == 64 + 128


def test_networks_on_clips(root, videos, tmp_path):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.model.backbone.window = 3
    torch.save(dict(state_dict=lively_weights(cfg)), tmp_path / 'weights.pth')
    extract(cfg, tmp_path / 'weights.pth', videos / 'a', tmp_path / 'out')
    found = load(tmp_path / 'out' / 'one.npz')
    assert found['features'].shape == (3, 64) and (found['span'], found['stride']) == (24, 6)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(stride=0), 'stride must be 1 or more, got 0'),
        (dict(whole=True, span=8), 'span has no effect with whole=True'),
        (dict(whole=True, batch_size=2), 'batch_size has no effect with whole=True'),
        (dict(stage='head'), "stage must be 'neck' or 'backbone', got 'head'"),
        (dict(file_format='pkl'), "file_format must be npz, npy, csv, got 'pkl'"),
        (dict(root='x'), 'root is for .txt lists'),
    ],
    ids=str,
)
def test_refuses(cfg, weights, videos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        extract(cfg, weights, videos, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_refuses_two_videos_of_one_name(cfg, weights, videos, tmp_path):
    for name in ('x.mp4', 'x.webm'):
        (tmp_path / name).write_bytes(b'')
    with pytest.raises(ValueError, match=r'x.mp4 and .*x.webm would both be .*x.npz'):
        extract(cfg, weights, tmp_path, tmp_path / 'out')
    with pytest.raises(ValueError, match='features.mkv: features.json holds the settings'):
        extract(cfg, weights, tmp_path / 'features.mkv', tmp_path)


@pytest.mark.parametrize('kind', ['npz', 'csv'])
def test_another_clip_of_the_same_name_is_reported(cfg, weights, tmp_path, kind):
    clips = [tmp_path / folder / 'x.mp4' for folder in 'abc']
    for i, clip in enumerate(clips):
        clip.parent.mkdir()
        write(clip, frames=8, turn=lambda x, i=i: x // 2 + 9 * i)
    clips[2].write_bytes(clips[0].read_bytes())  # as one that was moved
    out, options = tmp_path / 'out', dict(span=8, file_format=kind)
    (first,) = extract(cfg, weights, clips[0], out, **options)
    (other,) = extract(cfg, weights, clips[1], out, **options)
    (moved,) = extract(cfg, weights, clips[2], out, **options)
    assert (first.windows, first.error, moved.windows, moved.error) == (1, None, None, None)
    assert (
        other.error == f'{first.file}: the features of another clip are there; give another --out'
    )
    described = first.file if kind == 'npz' else first.file.with_suffix('.json')
    described.write_bytes(described.read_bytes()[:50])
    (damaged,) = extract(cfg, weights, clips[0], out, **options)
    assert f'{first.file}: is there and cannot be read; delete it: ' in damaged.error


def test_what_does_not_say_of_which_clip_it_is_stays(cfg, weights, videos, tmp_path):
    (report,) = extract(cfg, weights, videos / 'short.mp4', tmp_path, span=8)
    arrays = load(report.file)
    del arrays['clip']
    np.savez(report.file, **arrays)
    (again,) = extract(cfg, weights, videos / 'short.mp4', tmp_path, span=8)
    assert (again.windows, again.error) == (None, None)
