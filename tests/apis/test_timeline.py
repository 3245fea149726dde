import csv
import json

import av
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmaction_emim.apis import MotionInferencer, MotionStream
from mmaction_emim.apis.timeline import annotated_frames_of, write_timeline
from mmaction_emim.visualization import write_pictures

from ..datasets.numbered_clips import FRAMES, write
from ..same_scores import lively_weights


@pytest.fixture(scope='module')
def inferencer(root, tmp_path_factory):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.model.backbone.window = 3
    path = tmp_path_factory.mktemp('weights') / 'x.pth'
    torch.save(dict(state_dict=lively_weights(cfg)), path)
    return MotionInferencer(cfg, path, 'cpu', show_progress=False)


@pytest.fixture
def clip(tmp_path):
    write(tmp_path / 'clip.mp4')
    return tmp_path / 'clip.mp4'


def test_files_say_what_the_windows_said(inferencer, clip, tmp_path):
    stream = MotionStream(inferencer, stride=8)
    paths = [tmp_path / f'new/timeline{suffix}' for suffix in ('.json', '.csv', '.png')]
    windows = list(write_timeline(stream, stream(clip), paths, top_k=2))
    assert len(windows) == 3
    written = json.loads(paths[0].read_text())
    assert written['classes'] == inferencer.names
    assert written['stream'] == stream.counts() and written['stream']['frames'] == FRAMES
    rows = list(csv.DictReader(paths[1].open()))
    assert len(rows) == 6
    for i, window in enumerate(windows):
        best = np.argsort(-window.smoothed)[:2]
        entry = written['windows'][i]
        assert (entry['first'], entry['last']) == (window.first, window.last)
        assert [said['label'] for said in entry['top']] == best.tolist()
        for said, row in zip(entry['top'], rows[2 * i : 2 * i + 2], strict=True):
            label = said['label']
            assert int(row['label']) == label and row['name'] == inferencer.names[label]
            assert said['smoothed'] == pytest.approx(window.smoothed[label], abs=1e-6)
            assert float(row['probability']) == pytest.approx(
                window.prediction.probabilities[label], abs=1e-6
            )
    assert paths[2].read_bytes()[:4] == b'\x89PNG'
    assert not list(tmp_path.rglob('*.part'))


def test_what_was_said_until_an_error_is_written(inferencer, clip, tmp_path):
    def broken(windows):
        yield next(windows)
        raise OSError('the camera broke off')

    stream = MotionStream(inferencer, stride=8)
    paths = [tmp_path / 'timeline.json', tmp_path / 'timeline.csv']
    with pytest.raises(OSError, match='broke off'):
        list(write_timeline(stream, broken(stream(clip)), paths))
    assert len(json.loads(paths[0].read_text())['windows']) == 1
    assert len(paths[1].read_text().splitlines()) == 6


def test_refuses_another_suffix_before_anything_runs(inferencer, tmp_path):
    with pytest.raises(ValueError, match=r'x\.txt: the suffix must be one of \.json, \.csv, \.png'):
        write_timeline(MotionStream(inferencer), iter(()), [tmp_path / 'x.txt'])


def test_the_annotated_video_has_every_frame(inferencer, clip, tmp_path):
    stream = MotionStream(inferencer, stride=8)
    frames = annotated_frames_of(stream, stream(clip, with_images=True))
    write_pictures(frames, tmp_path / 'out.mp4', 25)
    with av.open(str(tmp_path / 'out.mp4')) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES
