"""Windows of a stream have the scores of clips, and cover the source."""

import time

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmaction_emim.apis import MotionInferencer, MotionStream
from mmaction_emim.apis.stream import distinct_views
from mmaction_emim.apis.windows import SlidingWindows
from mmaction_emim.datasets.stream_source import Frame, StreamSource

from ..datasets.live_servers import motion_jpeg, serving
from ..datasets.numbered_clips import FRAMES, write
from ..same_scores import lively_weights

SEGMENTS = 4
SECONDS = 300  # that anything may take


def config_2d(**neck) -> Config:
    """A network on single frames, with EMIM before its head."""
    neck = dict(type='EMIMNeck', in_channels=64, window=3, **neck)
    channels = neck.get('channels', 64)
    head = dict(type='TSNHead', num_classes=5, in_channels=channels, average_clips='prob')
    if not neck.get('pool_time', True):
        head.update(type='TSMHead', num_segments=SEGMENTS)
    model = dict(
        type='Recognizer2D',
        backbone=dict(
            type='ResNet',
            depth=18,
            num_stages=1,
            out_indices=(0,),
            strides=(1,),
            dilations=(1,),
            pretrained=None,
        ),
        neck=neck,
        cls_head=head,
        data_preprocessor=dict(
            type='ActionDataPreprocessor', mean=[114.0] * 3, std=[57.0] * 3, format_shape='NCHW'
        ),
    )
    pipeline = [
        dict(type='CheckedVideoInit'),
        dict(type='SampleFrames', clip_len=1, num_clips=SEGMENTS, test_mode=True),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, 48)),
        dict(type='CenterCrop', crop_size=48),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='PackActionInputs'),
    ]
    return Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline))))


@pytest.fixture(scope='module')
def make(tmp_path_factory):
    def make(cfg: Config) -> MotionInferencer:
        path = tmp_path_factory.mktemp('weights') / 'x.pth'
        torch.save(dict(state_dict=lively_weights(cfg)), path)
        return MotionInferencer(cfg, path, 'cpu', show_progress=False)

    return make


@pytest.fixture(scope='module')
def inferencer(make, root):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    cfg.model.backbone.window = 3
    return make(cfg)


@pytest.fixture(scope='module')
def framewise(make):
    return make(config_2d())


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    write(path)
    return path


@pytest.fixture(scope='module')
def images(clip):
    return np.stack([frame.image for frame in StreamSource(clip)])


@pytest.mark.parametrize('batch_size', [1, 3])
def test_a_window_has_the_scores_of_a_clip(inferencer, clip, images, batch_size):
    stream = MotionStream(inferencer, stride=6, batch_size=batch_size)
    windows = list(stream(clip))
    assert [(w.first, w.last) for w in windows] == [(0, 23), (6, 29), (12, 35), (16, 39)]
    for window in windows:
        expected = inferencer(images[window.first : window.last + 1])[0]
        np.testing.assert_allclose(window.prediction.scores, expected.scores, atol=1e-6)
        assert window.prediction.label == expected.label
    assert windows[0].prediction.clip == f'{clip}: frames 0 to 23'
    assert [(w.start, w.end) for w in windows[:2]] == [(0, 0.92), (0.24, 1.16)]
    assert (stream.frames, stream.windows, stream.dropped_frames) == (FRAMES, 4, 0)


def test_a_short_file_is_one_window_and_has_its_scores(inferencer, tmp_path):
    for frames in (1, 10):
        write(tmp_path / 'short.mp4', frames=frames)
        (window,) = MotionStream(inferencer)(tmp_path / 'short.mp4')
        expected = inferencer(tmp_path / 'short.mp4')[0]
        assert (window.first, window.last) == (0, frames - 1)
        np.testing.assert_allclose(window.prediction.scores, expected.scores, atol=1e-6)


def test_smoothed_is_the_mean_of_the_last_windows(inferencer, clip):
    windows = list(MotionStream(inferencer, stride=6, smooth=2)(clip))
    raw = [window.prediction.probabilities for window in windows]
    np.testing.assert_allclose(windows[0].smoothed, raw[0], atol=1e-6)
    np.testing.assert_allclose(windows[3].smoothed, (raw[2] + raw[3]) / 2, atol=1e-6)


@pytest.mark.parametrize('stride', [5, 30])
def test_each_frame_is_handed_out_once(inferencer, clip, images, stride):
    stream = MotionStream(inferencer, span=8, stride=stride)
    windows = list(stream(clip, with_images=True))
    assert np.array_equal(np.concatenate([window.images for window in windows]), images)
    assert stream.dropped_frames == 0


def test_the_span_is_the_configs(inferencer, framewise):
    assert MotionStream(inferencer).span(25) == 24  # clip_len=8, frame_interval=3
    assert MotionStream(framewise).span(25) == 100  # 4 seconds
    assert MotionStream(framewise, span=8).stride(25) == 2


@pytest.mark.parametrize('pool_time', [True, False])
@pytest.mark.parametrize('stride', [1, 2, 3, 9])
def test_reused_frames_give_the_same_scores(make, framewise, tmp_path, stride, pool_time):
    inferencer = framewise
    if not pool_time:
        cfg = config_2d(pool_time=False, channels=32, head_dim=16)
        cfg.model.backbone = dict(type='FrameEncoder', encoder=cfg.model.backbone)
        inferencer = make(cfg)
    write(tmp_path / 'clip.mp4', frames=18)
    images = np.stack([frame.image for frame in StreamSource(tmp_path / 'clip.mp4')])
    stream = MotionStream(inferencer, span=8, stride=stride)
    assert stream.reuses_frames
    windows = list(stream(tmp_path / 'clip.mp4'))
    assert len(windows) > 1
    for window in windows[:: max(1, len(windows) // 4)]:
        expected = inferencer(images[window.first : window.last + 1])[0]
        np.testing.assert_allclose(
            window.prediction.probabilities, expected.probabilities, atol=1e-5
        )
    assert windows[0].prediction.probabilities.std() > 1e-3  # of a network that tells clips apart


def test_a_frame_is_computed_once(framewise, clip):
    seen = []
    handle = framewise.model.backbone.register_forward_pre_hook(
        lambda module, args: seen.append(len(args[0]))
    )
    stream = MotionStream(framewise, span=8, stride=2)
    seen.clear()
    list(stream(clip))
    handle.remove()
    assert seen == [4, *[1] * 16]


def test_says_why_frames_are_not_reused(inferencer, make):
    with pytest.raises(ValueError, match='reuse=True: the model is a Recognizer3D'):
        MotionStream(inferencer, reuse=True)
    assert not MotionStream(inferencer).reuses_frames
    cfg = config_2d()
    cfg.test_dataloader.dataset.pipeline[4] = dict(type='ThreeCrop', crop_size=48)
    with pytest.raises(ValueError, match='several crops'):
        MotionStream(make(cfg), reuse=True)
    cfg = config_2d(pool_time=False)
    cfg.model.backbone = dict(type='ResNetTSM', depth=18, num_segments=SEGMENTS, pretrained=None)
    cfg.model.neck.in_channels = cfg.model.cls_head.in_channels = 512
    with pytest.raises(ValueError, match='backbone ResNetTSM mixes frames'):
        MotionStream(make(cfg), reuse=True)
    with pytest.raises(ValueError, match='more than pairs of frames: depth=2'):
        MotionStream(make(config_2d(depth=2)), reuse=True)
    cfg = config_2d()
    cfg.model.neck = None
    with pytest.raises(ValueError, match='neck must be an EMIMNeck'):
        MotionStream(make(cfg), reuse=True)


@pytest.mark.parametrize('argument', ['span', 'stride', 'batch_size', 'smooth'])
def test_refuses(inferencer, argument):
    with pytest.raises(ValueError, match=f'MotionStream: {argument} must be an integer of 1'):
        MotionStream(inferencer, **{argument: 0})


class Live(StreamSource):
    """A camera of ``count`` frames, as fast as they are taken."""

    def __init__(self, images, count):
        self.images, self.count = images, count
        self.address, self.fps, self.is_live, self.timeout = 'camera', 25.0, True, SECONDS

    def __iter__(self):
        for i in range(self.count):
            yield Frame(i, i / self.fps, self.images[i % len(self.images)], not i)


def until(moment):
    """As long as a network takes that is slow."""
    deadline = time.monotonic() + SECONDS
    while not moment():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_slow_network_drops_windows_of_a_live_source_and_counts(inferencer, images):
    stream = MotionStream(inferencer, span=2, stride=2, batch_size=1)
    first = []
    for window in stream(Live(images, 200)):
        until(lambda: stream.frames == 200)  # while it is at the first window
        first.append(window.first)
    assert stream.windows + stream.dropped_windows == 100
    assert stream.windows <= 3  # the first, and what waits with the last frame, or just before it
    assert stream.dropped_frames == 2 * stream.dropped_windows
    assert first == sorted(first) and first[-1] == 198


def test_windows_that_are_dropped_before_the_first_count(inferencer, images, monkeypatch):
    """All come before any is taken."""
    take = SlidingWindows._batch

    def take_late(windows, waiting):
        until(lambda: windows.counts.dropped == 99)
        return take(windows, waiting)

    monkeypatch.setattr(SlidingWindows, '_batch', take_late)
    stream = MotionStream(inferencer, span=2, stride=2, batch_size=1)
    assert [window.first for window in stream(Live(images, 200))] == [198]
    assert (stream.dropped_windows, stream.dropped_frames) == (99, 198)


def test_a_slow_network_drops_frames_of_a_network_camera_and_counts(inferencer, images):
    """Over HTTP, from a real socket; the camera goes off in the end."""
    stream = MotionStream(inferencer, span=2, stride=2, batch_size=1)
    with serving(motion_jpeg([*images, *images])) as port:
        source = StreamSource(f'http://127.0.0.1:{port}/video', reconnects=0, timeout=SECONDS)
        with pytest.raises(OSError, match='broke off'):
            for _ in stream(source):
                until(lambda: stream.frames == 2 * FRAMES)
    assert stream.frames == 2 * FRAMES
    assert stream.dropped_windows + stream.windows == FRAMES
    assert stream.windows <= 3


def test_a_file_waits_for_a_slow_network(inferencer, clip):
    stream = MotionStream(inferencer, span=4, stride=4, batch_size=1)
    for _ in stream(clip):
        time.sleep(0.02)
    assert (stream.windows, stream.dropped_windows) == (10, 0)


def test_windows_do_not_reach_over_a_break(inferencer, images):
    class Broken(Live):
        def __iter__(self):
            for frame in super().__iter__():
                yield frame._replace(is_first=frame.index in (0, 10))

    stream = MotionStream(inferencer, span=4, stride=4, batch_size=9)
    spans = [(w.first, w.last) for w in stream(Broken(images, 20))]
    assert spans == [(0, 3), (4, 7), (10, 13), (14, 17), (16, 19)]


def test_an_error_of_the_source_ends_the_stream(inferencer, tmp_path):
    with pytest.raises(OSError, match='nothing.mp4'):
        next(MotionStream(inferencer)(tmp_path / 'nothing.mp4'))


def test_a_stream_that_is_left_stops_decoding(inferencer, clip):
    stream = MotionStream(inferencer, span=2, stride=1, batch_size=1)
    next(windows := stream(clip))
    windows.close()
    decoded = stream.frames
    time.sleep(0.1)
    assert stream.frames == decoded < FRAMES


def test_distinct_views():
    view, other = torch.zeros(2, 3, 1, 1, 1)
    other = other + 1
    assert len(distinct_views(torch.stack([view, other, view, other]))) == 2
    assert len(distinct_views(torch.stack([view, other, view]))) == 3
    assert len(distinct_views(torch.zeros(4, 3, 8, 8))) == 4
