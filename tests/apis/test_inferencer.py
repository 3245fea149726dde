import copy
import csv
import json
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmaction_emim.apis import MotionInferencer, clips_of
from mmaction_emim.apis.prediction import Prediction, write_csv, write_json
from mmaction_emim.datasets.motion_shapes import CLASSES
from mmaction_emim.datasets.prepare.own.clips import find_clips
from mmaction_emim.datasets.reader import VideoReader

from ..datasets.numbered_clips import KINDS
from ..same_scores import lively_weights


@pytest.fixture(scope='module')
def config(root, motion_shapes):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.test_dataloader.dataset.data_root = str(motion_shapes)
    return cfg


@pytest.fixture(scope='module')
def weights(config, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'x.pth'
    torch.save(dict(state_dict=lively_weights(config), meta={}), path)
    return path


@pytest.fixture(scope='module')
def make(weights):
    return partial(MotionInferencer, weights=weights, device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def inferencer(config, make):
    return make(config)


@pytest.fixture(scope='module')
def clips(motion_shapes):
    return sorted((motion_shapes / 'test').glob('*/*'))


@pytest.fixture(scope='module')
def expected(inferencer, clips):
    return inferencer(clips[:1])[0]


def served(folder):
    """An HTTP server of a folder, on a free port of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_names_and_probabilities(expected):
    assert expected.error is None and len(expected.top) == 5
    probabilities = [guess.probability for guess in expected.top]
    assert probabilities == sorted(probabilities, reverse=True)
    np.testing.assert_allclose(expected.probabilities.sum(), 1, rtol=1e-6)
    softmax = torch.tensor(expected.scores).softmax(0)
    np.testing.assert_allclose(expected.probabilities, softmax, rtol=1e-6)
    assert expected.label == softmax.argmax() and expected.name == CLASSES[expected.label]
    assert expected.probability == pytest.approx(softmax.max().item())


@pytest.mark.parametrize('kind', ['str', 'bytes', 'array', 'images', 'http', 'list'])
def test_inputs_of_every_kind_score_alike(inferencer, clips, expected, tmp_path, kind):
    frames = VideoReader(clips[0]).get_batch(range(24)).asnumpy()
    if kind == 'images':
        for i, frame in enumerate(frames, start=8):  # 8 to 31: by number, not by name
            cv2.imwrite(str(tmp_path / f'{i}.png'), frame[..., ::-1])
    if kind == 'http':
        server = served(clips[0].parent)
    given = {
        'str': lambda: str(clips[0]),
        'bytes': lambda: clips[0].read_bytes(),
        'array': lambda: frames,
        'images': lambda: tmp_path,
        'http': lambda: f'http://127.0.0.1:{server.server_port}/{clips[0].name}',
        'list': lambda: [clips[1], frames],
    }[kind]()
    answer = inferencer(given)[-1]
    if kind == 'http':
        server.shutdown()
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-5, atol=1e-6)
    assert answer.clip == ('array 1' if kind == 'list' else answer.clip)


def test_frames_that_are_sampled_already(inferencer, clips):
    frames = VideoReader(clips[0]).get_batch(range(1, 23, 3)).asnumpy()  # as SampleFrames does
    scores = inferencer.scores(frames, sampled=True)
    torch.testing.assert_close(scores, inferencer.scores(clips[0]), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(scores, inferencer.scores(frames), atol=1e-3)


@pytest.mark.parametrize('sampled', [False, True])
def test_larger_frames_are_scaled_down_where_asked(inferencer, clips, monkeypatch, sampled):
    large = VideoReader(clips[0]).get_batch(range(24)).asnumpy().repeat(3, 1).repeat(3, 2)
    monkeypatch.setattr(inferencer, 'short_side', 32)
    loaded = inferencer.load(large, sampled)  # 96 x 96: each pixel thrice
    assert torch.equal(loaded, inferencer.load(large[:, ::3, ::3], sampled))
    assert inferencer.load(large[:, :48]).shape[-2:] == (32, 64)
    assert inferencer.load(large[:, :30]).shape[-2:] == (30, 96)  # no larger than asked


def test_large_frames_of_a_config_without_a_size_are_told(inferencer, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    inferencer.load(np.zeros((1, 600, 520, 3), np.uint8), sampled=True)
    assert 'array: 520 x 600 pixels go through the network' in caplog.text


def test_a_folder_is_searched_and_what_is_broken_is_reported(inferencer, clips, tmp_path):
    (tmp_path / 'deep' / 'deeper').mkdir(parents=True)
    shutil.copy(clips[0], tmp_path / 'deep' / 'deeper' / 'b.mp4')
    shutil.copy(clips[1], tmp_path / 'deep' / 'c.MP4')
    (tmp_path / 'a.mp4').write_text('this is text')
    (tmp_path / 'd.webm').touch()
    (tmp_path / 'e.mkv').write_bytes(clips[3].read_bytes()[:2000])
    (tmp_path / 'readme.txt').write_text('no clip')
    answers = inferencer(tmp_path, batch_size=3)
    names = [str(Path(one.clip).relative_to(tmp_path)) for one in answers]
    assert names == ['a.mp4', 'd.webm', 'deep/c.MP4', 'deep/deeper/b.mp4', 'e.mkv']
    assert ['Invalid data' in answers[0].error, 'empty' in answers[1].error] == [True, True]
    assert 'cut short' in answers[4].error
    assert all(one.label is None for one in answers if one.error)
    assert [one.error for one in answers[2:4]] == [None, None]
    (tmp_path / 'nothing').mkdir()
    with pytest.raises(ValueError, match='nothing: holds no video file and no folder of images'):
        inferencer(tmp_path / 'nothing')


def test_clips_as_they_come(inferencer, tmp_path):
    kinds = 'GIF', 'VP9, webm', 'HEVC, open GOP, edit list, rotated, mov', 'H.264, one frame'
    for i, kind in enumerate(kinds):
        KINDS[kind].make(tmp_path / f'{i}{KINDS[kind].suffix}')
    cv2.imwrite(str(tmp_path / 'still.jpg'), np.full((48, 64, 3), 99, np.uint8))
    answers = inferencer([*sorted(tmp_path.glob('?.*')), tmp_path / 'still.jpg'])
    assert len(answers) == 5 and [one.error for one in answers] == [None] * 5


def test_files_of_answers(inferencer, clips, tmp_path):
    (tmp_path / 'x.mp4').touch()
    out = [tmp_path / 'new' / 'x.json', tmp_path / 'x.csv']
    answers = inferencer([clips[0], tmp_path / 'x.mp4'], top_k=2, out=out)
    written = json.loads(out[0].read_text())
    assert written['average_clips'] == 'score' and written['classes'] == list(CLASSES)
    good, bad = written['predictions']
    np.testing.assert_allclose(good['scores'], answers[0].scores, rtol=1e-6)
    assert [guess['name'] for guess in good['top']] == [guess.name for guess in answers[0].top]
    assert bad == dict(clip=str(tmp_path / 'x.mp4'), error=answers[1].error)
    rows = list(csv.DictReader(out[1].open()))
    assert [row['rank'] for row in rows] == ['1', '2', ''] and rows[2]['error']
    assert float(rows[0]['probability']) == pytest.approx(answers[0].probability, abs=1e-6)
    with pytest.raises(ValueError, match=r'x\.txt: the suffix must be one of \.json'):
        inferencer(clips[0], out=tmp_path / 'x.txt')


@pytest.mark.parametrize('averaging', ['score', 'prob', None])
def test_views_are_averaged_as_the_test_does_it(config, make, clips, averaging):
    cfg = copy.deepcopy(config)
    cfg.model.cls_head.average_clips = averaging
    cfg.test_dataloader.dataset.pipeline[1].num_clips = 3
    cfg.test_dataloader.dataset.pipeline[1].clip_len = 4
    inferencer = make(cfg)
    assert inferencer.averaging == averaging
    answer = inferencer(clips[0])[0]
    views = inferencer.load(clips[0])
    assert len(views) == 3
    with torch.no_grad():
        (sample,) = inferencer.model.test_step(
            dict(inputs=[views], data_samples=[ActionDataSample()])
        )
    np.testing.assert_allclose(answer.scores, sample.pred_score, rtol=1e-5, atol=1e-6)
    mean = inferencer.scores(clips[0]).mean(0)
    np.testing.assert_allclose(answer.probabilities, mean.softmax(0), rtol=1e-5)


def test_the_search_finds_what_is_prepared_for_training(tmp_path):
    (tmp_path / 'wave').mkdir()
    for suffix in ('.asf', '.VOB', '.mp4', '.txt'):
        (tmp_path / 'wave' / f'clip{suffix}').touch()
    found = [clip.path for clip in find_clips(tmp_path)[0]]
    assert found == ['wave/clip.VOB', 'wave/clip.asf', 'wave/clip.mp4']
    searched = [str(clip.source.relative_to(tmp_path)) for clip in clips_of(tmp_path)]
    assert searched == found


def test_the_search_follows_links_and_leaves_hidden_files_out(tmp_path):
    """Archives of Macs hold ``._NAME`` beside every file."""
    (tmp_path / 'elsewhere').mkdir()
    for name in ('1.mp4', '._1.mp4', '2.jpg'):
        (tmp_path / 'elsewhere' / name).touch()
    (tmp_path / 'hidden').mkdir()
    (tmp_path / 'hidden' / '._3.jpg').touch()
    (tmp_path / 'linked').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere' / 'back').symlink_to(tmp_path)
    searched = [
        str(clip.source.relative_to(tmp_path / 'linked')) for clip in clips_of(tmp_path / 'linked')
    ]
    assert searched[:2] == ['.', '1.mp4']
    assert all('._' not in path and path.count('back') <= 1 for path in searched)


def test_a_name_that_is_no_utf8_costs_no_answer(tmp_path):
    predictions = [Prediction('/caf\udce9.mp4', error='empty'), Prediction('/b.mp4', error='cut')]
    write_csv(predictions, tmp_path / 'x.csv')
    write_json(predictions, tmp_path / 'x.json', {})
    rows = (tmp_path / 'x.csv').read_text().splitlines()[1:]
    assert rows == [r'/caf\udce9.mp4,,,,,empty', '/b.mp4,,,,,cut']
    said = json.loads((tmp_path / 'x.json').read_text())['predictions']
    assert [one['clip'] for one in said] == ['/caf\udce9.mp4', '/b.mp4']


def test_a_config_of_image_folders_answers_videos_too(root, clips, motion_shapes, tmp_path):
    """Something-Something V1's pipeline: the same frames from a folder and from a video."""
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='UniformSample', clip_len=8, num_clips=1, test_mode=True),
        dict(type='CheckedRawFrameDecode'),
        dict(type='Resize', scale=(-1, 32)),
        dict(type='ThreeCrop', crop_size=32),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    inferencer = MotionInferencer(cfg, None, 'cpu', show_progress=False)
    for i, frame in enumerate(VideoReader(clips[0]).get_batch(range(24)), start=1):
        cv2.imwrite(str(tmp_path / f'{i:05}.png'), frame[..., ::-1])
    own, video = inferencer.load(tmp_path), inferencer.load(clips[0])
    assert own.shape == (3, 3, 8, 32, 32) and torch.equal(own, video)


def test_clips_of_other_sizes_go_into_other_batches(inferencer, clips, expected):
    frames = np.zeros((24, 48, 40, 3), np.uint8)
    answers = inferencer([clips[0], frames, clips[0], np.zeros((24, 2, 2, 3), np.uint8)], 4)
    assert [one.error is None for one in answers] == [True, True, True, False]
    np.testing.assert_allclose(answers[2].scores, expected.scores, rtol=1e-5, atol=1e-6)


def test_recognizers_of_single_frames(clips):
    cfg = dict(
        model=dict(
            type='Recognizer2D',
            backbone=dict(type='MobileNetV2TSM', num_segments=4, pretrained2d=False),
            cls_head=dict(type='TSMHead', num_segments=4, num_classes=5, in_channels=1280),
            data_preprocessor=dict(type='ActionDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3),
        ),
        test_dataloader=dict(
            dataset=dict(
                type='VideoDataset',
                pipeline=[
                    dict(type='CheckedVideoInit'),
                    dict(type='SampleFrames', clip_len=1, num_clips=4, test_mode=True),
                    dict(type='DecordDecode'),
                    dict(type='FormatShape', input_format='NCHW'),
                    dict(type='PackActionInputs'),
                ],
            )
        ),
    )
    cfg['model']['cls_head']['average_clips'] = 'prob'
    inferencer = MotionInferencer(Config(cfg), None, 'cpu', show_progress=False)
    assert inferencer.names == list('01234')
    frames = VideoReader(clips[0]).get_batch([3, 9, 15, 21]).asnumpy()
    scores = inferencer.scores(frames, sampled=True)
    assert scores.shape == (1, 5)
    torch.testing.assert_close(scores, inferencer.scores(clips[0]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(batch_size=0), 'batch_size and top_k must be 1 or more, got 0 and 5'),
        (dict(top_k=0), 'batch_size and top_k must be 1 or more, got 1 and 0'),
        (dict(inputs=12.5), 'a clip is a file, .* got float'),
        (dict(inputs=np.zeros((4, 8, 8))), r'frames must be \(T, H, W, 3\)'),
    ],
)
def test_wrong_arguments(inferencer, clips, arguments, message):
    if isinstance(arguments.get('inputs'), np.ndarray):
        assert 'frames must be (T, H, W, 3), got (4, 8, 8)' in inferencer(**arguments)[0].error
        return
    with pytest.raises((ValueError, TypeError), match=message):
        inferencer(**{'inputs': clips[0], **arguments})


def test_networks_that_take_one_clip_at_a_time(config, make, clips):
    cfg = copy.deepcopy(config)
    cfg.model.test_cfg = dict(max_testing_views=2)
    inferencer = make(cfg)
    with pytest.raises(ValueError, match='batch_size must be 1 where'):
        inferencer(clips[:2], batch_size=2)
    assert [one.error for one in inferencer(clips[:2])] == [None, None]


def test_a_checkpoint_runs_nothing(config, weights, tmp_path):
    """Neither the config in it, which MMEngine's inferencer runs, nor a pickle."""
    mark = tmp_path / 'mark'
    code = f'import os\nos.mkdir({str(mark)!r})\n'
    state = torch.load(weights, weights_only=True)
    meta = dict(cfg=code, config=code, dataset_meta=dict(classes=[code] * 12))
    torch.save({**state, 'meta': meta, 'message_hub': dict(runtime_info=dict(cfg=code))}, mark)
    hostile = mark.rename(tmp_path / 'hostile.pth')
    assert MotionInferencer(config, hostile, 'cpu').names == [code] * 12
    with pytest.raises(TypeError, match='config: a file, a name or a Config is needed'):
        MotionInferencer(None, hostile, 'cpu')

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    torch.save(dict(state_dict=Evil()), hostile)
    with pytest.raises(Exception, match='mkdir'):
        MotionInferencer(config, hostile, 'cpu')
    assert not mark.exists()


def test_by_name_and_other_networks(root, clips):
    assert MotionInferencer('emim_motionshapes', device='cpu').cfg.model.cls_head.num_classes == 12
    with pytest.raises(TypeError, match='no model.cls_head'):
        MotionInferencer(Config(dict(model=dict(type='Recognizer3D'))), device='cpu')
