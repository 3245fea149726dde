import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode
from mmengine.registry import init_default_scope

from mmaction_emim.datasets import CheckedRawframeDataset, CheckedVideoDataset
from mmaction_emim.datasets.checked import ClipError

DECODE = [dict(type='DecordInit'), dict(type='SampleFrames', clip_len=2), dict(type='DecordDecode')]


def videos(tmp_path, text, **options):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text(text)
    options = {**dict(pipeline=[], num_classes=3), **options}
    return CheckedVideoDataset(ann_file='list.txt', data_root=str(tmp_path), **options)


def test_reads_a_list_with_spaces_in_paths_and_blank_lines(tmp_path):
    data = videos(tmp_path, 'a b.mp4 2\n\nc.webm 0\n')
    assert [(row['filename'], row['label']) for row in data] == [
        (str(tmp_path / 'a b.mp4'), 2),
        (str(tmp_path / 'c.webm'), 0),
    ]


def test_delimiter(tmp_path):
    assert videos(tmp_path, 'a.mp4,1\n', delimiter=',')[0]['label'] == 1


@pytest.mark.parametrize(
    'text, message',
    [
        ('a.mp4 0\nb.mp4\n', r"list.txt:2: expected 'filename label', got 'b.mp4'"),
        ('a.mp4 x\n', r"list.txt:1: label must be an integer, got 'x'"),
        ('a.mp4 0\nb.mp4 3\n', r'list.txt:2: label must be 0 to 2 \(num_classes=3\), got 3'),
        ('a.mp4 -1\n', 'got -1'),
        ('\n', 'holds no clip'),
    ],
)
def test_refuses_a_broken_list(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        videos(tmp_path, text)


def test_missing_list(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.txt: no such annotation list'):
        CheckedVideoDataset(ann_file=str(tmp_path / 'gone.txt'), pipeline=[])


def test_names_a_clip_that_cannot_be_read(tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'no video at all')
    data = videos(tmp_path, 'bad.mp4 0\n', pipeline=DECODE)
    with pytest.raises(ClipError, match=r'bad.mp4: clip 0 of .*list.txt cannot be read'):
        data[0]


def test_reads_real_clips_of_both_containers(motion_shapes):
    init_default_scope('mmaction')
    data = CheckedVideoDataset('train.txt', DECODE, data_root=str(motion_shapes), num_classes=12)
    assert {row['imgs'][0].shape for row in data} == {(32, 32, 3)}
    assert {row['filename'].rsplit('.')[-1] for row in data} == {'mp4', 'webm'}


def test_raw_frames(tmp_path):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text('7 30 2\n')
    data = CheckedRawframeDataset('list.txt', [], data_root=str(tmp_path), num_classes=3)
    assert (data[0]['frame_dir'], data[0]['total_frames'], data[0]['label']) == (
        str(tmp_path / '7'),
        30,
        2,
    )
    (tmp_path / 'list.txt').write_text('7 thirty 2\n')
    with pytest.raises(ValueError, match='list.txt:1: total_frames must be an integer'):
        CheckedRawframeDataset('list.txt', [], data_root=str(tmp_path))


def test_repeats_decode_once_and_augment_apart(motion_shapes, monkeypatch):
    init_default_scope('mmaction')
    np.random.seed(0)
    decoded = []
    decode = DecordDecode.transform
    monkeypatch.setattr(
        DecordDecode, 'transform', lambda *a: decoded.append(1) or decode(*a)
    )  # counts, then decodes
    pipeline = [*DECODE, dict(type='RandAugment', prob=1.0)]
    options = dict(data_root=str(motion_shapes), num_classes=12, num_repeats=2)
    data = CheckedVideoDataset('train.txt', pipeline, **options)
    pairs = [data[i] for i in range(8)]
    assert len(decoded) == 8
    for first, second in pairs:
        assert first['frame_inds'].tolist() == second['frame_inds'].tolist()
        assert (first['filename'], first['label']) == (second['filename'], second['label'])
    same = [np.array_equal(a['imgs'], b['imgs']) for a, b in pairs]
    assert sum(same) < 3  # two draws may agree


@pytest.mark.parametrize('num_repeats', [0, 1.5])
def test_refuses_repeats(tmp_path, num_repeats):
    with pytest.raises(ValueError, match='num_repeats must be an integer of 1 or more'):
        videos(tmp_path, 'a.mp4 0', num_repeats=num_repeats)
