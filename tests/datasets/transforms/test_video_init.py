import struct
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode, DecordInit
from mmengine.config import Config
from mmengine.fileio import BaseStorageBackend, FileClient
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope

from mmaction_emim.datasets.transforms import CheckedDecordInit, CheckedVideoInit
from mmaction_emim.datasets.transforms.truncation import missing_bytes

from ..numbered_clips import FRAMES, KINDS, decoded_in_order, shown, write

# What reader='decord' must not refuse: it is right of them (docs/readers.md).
READ_BY_DECORD = {
    'H.264, mp4',
    'H.264, mov',
    'H.264, mkv',
    'H.264, no B-frames',
    'H.264, 16 B-frames',
    'H.264, fragmented mp4',
    'H.264, 10 bits',
    'H.264, grey',
    'H.264, variable rate',
    'H.264, one frame',
    'H.264, fields, mp4',
    'H.264, rotated by 90',
    'H.264, rotated by 180',
    'H.264, rotated by 270',
    'H.264, 32 wide',
    'H.264, 96 wide',
    'H.264, 144 wide',
    'HEVC, mp4',
    'HEVC, 10 bits',
    'VP8, webm',
    'VP9, webm',
    'VP9, mp4',
    'VP9, odd size',
    'MPEG-4, avi',
    'MPEG-4, variable rate, avi',
}


def read(path, wanted=(30, 0, 7, 7), init=CheckedVideoInit, **options):
    results = init(**options)(dict(filename=str(path)))
    assert results['total_frames'] == len(results['video_reader'])
    results['frame_inds'] = np.array(wanted)
    return DecordDecode()(results)['imgs']


def numbers(imgs):
    return [shown(img) for img in imgs]


@pytest.mark.parametrize('kind', ['H.264, edit list', 'H.264, rotated by 90', 'MPEG-2, ts'])
@pytest.mark.parametrize('reader', ['PyAV', 'OpenCV'])
def test_upstreams_other_readers_give_the_same_frames(tmp_path, reader, kind):
    init_default_scope('mmaction')
    path = tmp_path / f'a{KINDS[kind].suffix}'
    KINDS[kind].make(path)
    results = TRANSFORMS.build(dict(type=f'{reader}Init'))(dict(filename=str(path), label=3))
    assert (results['total_frames'], results['label']) == (len(KINDS[kind].numbers), 3)
    wanted = [15, 0, 7, 7, results['total_frames'] - 1]
    results['frame_inds'] = np.array([wanted])
    results = TRANSFORMS.build(dict(type=f'{reader}Decode'))(results)
    assert numbers(results['imgs']) == [KINDS[kind].numbers[i] for i in wanted]
    assert results['img_shape'] == results['imgs'][0].shape[:2] == (48, 64)


def test_motion_vectors_are_still_read(tmp_path):
    init_default_scope('mmaction')
    write(tmp_path / 'a.mp4', 'mpeg4')
    results = TRANSFORMS.build(dict(type='PyAVInit'))(dict(filename=str(tmp_path / 'a.mp4')))
    results['frame_inds'] = np.array([3, 9])
    vectors = TRANSFORMS.build(dict(type='PyAVDecodeMotionVector'))(results)['motion_vectors']
    assert vectors.shape == (2, 48, 64, 2)


@pytest.fixture
def clip(tmp_path):
    write(tmp_path / 'a.mp4')
    return tmp_path / 'a.mp4'


@pytest.mark.parametrize(
    'config',
    [
        dict(type='CheckedVideoInit'),
        dict(type='CheckedVideoInit', reader='decord'),
        dict(type='CheckedDecordInit'),
        dict(type='CheckedDecordInit', num_threads=2, fallback='pyav'),
    ],
    ids=str,
)
def test_gives_frames_their_number_and_the_rate(clip, config):
    if config.get('reader') == 'decord':
        pytest.importorskip('decord')
    init_default_scope('mmaction')
    results = TRANSFORMS.build(config)(dict(filename=str(clip)))
    assert (results['total_frames'], results['avg_fps']) == (FRAMES, 25.0)
    assert numbers(results['video_reader'].get_batch([30, 0, 7]).asnumpy()) == [30, 0, 7]


def test_the_earlier_name_says_which_arguments_have_no_effect(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    CheckedDecordInit()
    assert 'CheckedVideoInit' in caplog.text and 'num_threads' not in caplog.text
    CheckedDecordInit(num_threads=2, fallback='pyav')
    logger.removeHandler(caplog.handler)
    assert "num_threads=2 and fallback='pyav' have no effect" in caplog.text


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(reader='cv2'), "reader must be 'pyav' or 'decord', got 'cv2'"),
        (dict(strict=1), "strict must be False, or True with reader='pyav', got 1 with 'pyav'"),
        (dict(strict=True, reader='decord'), "got True with 'decord'"),
        (dict(short_side=0), 'short_side must be an integer of 2 or more or None, got 0'),
        (dict(short_side='256'), "short_side must be an integer of 2 or more or None, got '256'"),
    ],
)
def test_refuses_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        CheckedVideoInit(**options)


@pytest.mark.parametrize('init', [CheckedVideoInit, CheckedDecordInit])
def test_refuses_options_that_nobody_reads(init):
    with pytest.raises(TypeError, match=f"{init.__name__}.*unexpected keyword argument 'strikt'"):
        init(strikt=True)


@pytest.mark.parametrize('reader', ['pyav', 'decord'])
def test_short_side(clip, reader):
    if reader == 'decord':
        pytest.importorskip('decord')
    whole, small = read(clip), read(clip, reader=reader, short_side=24)
    assert {img.shape for img in small} == {(24, 32, 3)}
    np.testing.assert_allclose(np.mean(small, (1, 2)), np.mean(whole, (1, 2)), atol=3)
    assert np.array_equal(read(clip, reader=reader, short_side=48), whole)


@pytest.fixture
def address(tmp_path):
    """``tmp_path`` as a web server's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.mark.parametrize('reader', ['pyav', 'decord'])
def test_other_backends_read_into_memory(clip, address, reader):
    if reader == 'decord':
        pytest.importorskip('decord')
    url = f'{address}/{clip.name}'
    assert numbers(read(url, io_backend='http', reader=reader)) == [30, 0, 7, 7]
    clip.write_bytes(b'no video')
    with pytest.raises(ValueError, match=rf'^{url}: '):
        read(url, io_backend='http', reader=reader)


def test_a_backend_may_give_a_view_of_memory(clip):
    """As MMEngine's for Petrel does."""

    class Views(BaseStorageBackend):
        def get(self, filepath):
            return memoryview(Path(filepath).read_bytes())

        def get_text(self, filepath):
            raise NotImplementedError

    FileClient.register_backend('views', Views, force=True)
    for init in (CheckedVideoInit, DecordInit):
        assert numbers(read(clip, init=init, io_backend='views')) == [30, 0, 7, 7]


def test_clips_as_phones_write_them_through_a_config(tmp_path, root):
    """Cut, rotated, HEVC with open groups of pictures: frames 20 to 39 are shown of each."""
    init_default_scope('mmaction')
    KINDS['HEVC, open GOP, edit list, rotated, mov'].make(tmp_path / 'a.mov')
    (tmp_path / 'test.txt').write_text('a.mov 3\n')
    config = Config.fromfile(root / 'configs/emim_motionshapes.py').test_dataloader.dataset
    clips = DATASETS.build({**config, 'data_root': str(tmp_path)})
    (inputs,) = clips[0]['inputs']  # (3, 8, H, W): every third frame, and from the start again
    frames = inputs.permute(1, 2, 3, 0).numpy()
    assert numbers(frames) == [20, 23, 26, 29, 32, 35, 38, 21]
    assert not clips.failed.any()


@pytest.mark.parametrize('name', ['a.mp4', 'a.webm', 'a.avi', 'a.mkv'])
def test_files_cut_short_are_refused(tmp_path, name):
    codec = {'webm': 'libvpx-vp9', 'avi': 'mpeg4'}.get(name[2:], 'libx264')
    path = tmp_path / name
    write(path, codec)
    assert missing_bytes(path) == 0
    whole = path.read_bytes()
    for cut in (1, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        assert 0 < missing_bytes(path) == missing_bytes(path.read_bytes()) <= cut
        with pytest.raises(ValueError, match=rf'{name}: cut short, \d+ bytes or more are'):
            read(path)


@pytest.mark.parametrize('index', [b'stco', b'co64'])
def test_an_index_in_front_tells_where_samples_end_that_no_size_does(tmp_path, index):
    """As muxers write that do not know the end: the last box is of size 0."""
    path = tmp_path / 'a.mp4'
    write(path, container=dict(movflags='faststart'))
    data = bytearray(path.read_bytes())
    at = data.index(b'mdat')
    assert at > data.index(b'moov')
    data[at - 4 : at] = bytes(4)
    if index == b'co64':
        data = with_long_offsets(data)
    path.write_bytes(data)
    assert missing_bytes(path) == missing_bytes(bytes(data)) == 0
    assert numbers(read(path)) == [30, 0, 7, 7]
    for cut in (1, len(data) // 3):
        path.write_bytes(data[:-cut])
        with pytest.raises(ValueError, match=rf'a.mp4: cut short, {cut} bytes or more are'):
            read(path)


def with_long_offsets(data):
    """Its chunks' offsets in 8 bytes each."""
    at = data.index(b'stco')
    (count,) = struct.unpack('>I', data[at + 8 : at + 12])
    offsets = struct.unpack(f'>{count}I', data[at + 12 : at + 12 + 4 * count])
    for name in (b'stco', b'stbl', b'minf', b'mdia', b'trak', b'moov'):
        i = data.index(name)
        (size,) = struct.unpack('>I', data[i - 4 : i])
        data[i - 4 : i] = struct.pack('>I', size + 4 * count)
    longer = struct.pack(f'>{count}Q', *(offset + 4 * count for offset in offsets))
    return data[:at] + b'co64' + data[at + 4 : at + 12] + longer + data[at + 12 + 4 * count :]


@pytest.mark.parametrize('size', [0, 2**32 - 1])
def test_an_avi_that_does_not_say_its_size_is_read(tmp_path, size):
    """As muxers write that cannot go back."""
    path = tmp_path / 'a.avi'
    write(path, 'mpeg4')
    data = bytearray(path.read_bytes())
    data[4:8] = size.to_bytes(4, 'little')
    path.write_bytes(data)
    assert missing_bytes(path) == 0
    assert numbers(read(path)) == [30, 0, 7, 7]


def test_transport_streams_cut_within_a_packet_are_refused(tmp_path):
    path = tmp_path / 'a.ts'
    write(path, 'mpeg2video')
    whole = path.read_bytes()
    assert missing_bytes(path) == 0 and len(whole) % 188 == 0
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match='a.ts: cut short, 100 bytes or more are missing'):
        read(path)
    path.write_bytes(whole[:188])
    assert missing_bytes(path) == 0
    path.write_bytes(b'Good morning')  # begins as a packet does
    assert missing_bytes(path) == 0


@pytest.mark.parametrize('content', [b'', b'\0' * 9, b'no video at all', bytes(range(256)) * 9])
@pytest.mark.parametrize('reader', ['pyav', 'decord'])
def test_no_video_is_one_sentence(tmp_path, content, reader):
    if reader == 'decord':
        pytest.importorskip('decord')
    (tmp_path / 'a.mp4').write_bytes(content)
    with pytest.raises(ValueError, match='a.mp4: ') as raised:
        read(tmp_path / 'a.mp4', reader=reader)
    assert '\n' not in str(raised.value) and 'workspace' not in str(raised.value)


@pytest.mark.parametrize('kind', KINDS)
def test_decord_gives_the_same_frames_or_is_refused(tmp_path, kind):
    pytest.importorskip('decord')
    path = tmp_path / f'a{KINDS[kind].suffix}'
    KINDS[kind].make(path)
    truth = [KINDS[kind].upright(frame) for frame in decoded_in_order(path)]
    try:
        wanted = [len(truth) - 1, *range(len(truth) // 3, len(truth)), 0, len(truth) // 2]
        imgs = read(path, wanted, reader='decord')
    except ValueError as error:
        assert "(reader='pyav' may read it)" in str(error) and '\n' not in str(error)
        assert kind not in READ_BY_DECORD
        return
    assert kind in READ_BY_DECORD
    for i, img in zip(wanted, imgs, strict=True):  # 10 bits become 8 in other ways
        assert shown(img) == shown(truth[i])
        assert np.abs(img.astype(int) - truth[i]).mean() < 4


def test_decord_beside_its_likes_is_refused(tmp_path, monkeypatch):
    """They share most of their files, so whichever came last broke the other."""
    for name in ('decord', 'decord2'):
        (tmp_path / f'{name}-9.dist-info').mkdir()
        metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: 9\n'
        (tmp_path / f'{name}-9.dist-info/METADATA').write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match='decord and decord2 are installed together'):
        CheckedVideoInit(reader='decord')
    CheckedVideoInit()


def test_decord_is_imported_where_it_is_asked_for_and_can_be_missing(clip, root):
    code = (
        'import sys\n'
        'import mmaction_emim.datasets.prepare.verify\n'
        'from mmaction_emim.datasets.transforms import CheckedVideoInit\n'
        f'CheckedVideoInit()(dict(filename={str(clip)!r}))["video_reader"].get_batch([3])\n'
        'print("decord" in sys.modules)\n'
        'sys.modules["decord"] = None  # as where it is not installed\n'
        'CheckedVideoInit(reader="decord")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert done.stdout == 'False\n'
    assert "ImportError: reader='decord' needs decord" in done.stderr.splitlines()[-1]
