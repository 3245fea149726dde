import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mmaction.datasets import RawframeDataset, VideoDataset
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.datasets import CheckedRawframeDataset, CheckedVideoDataset
from mmaction_emim.datasets.checked import ClipError

DECODE = [
    dict(type='CheckedVideoInit'),
    dict(type='SampleFrames', clip_len=2),
    dict(type='DecordDecode'),
]


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


def test_a_byte_order_mark_is_no_part_of_the_first_path(tmp_path):
    assert videos(tmp_path, '\ufeffa.mp4 1\nb.mp4 2\n')[0]['filename'] == str(tmp_path / 'a.mp4')


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


OUTSIDE = ['../x.mp4', 'a/../../x.mp4', '/etc/x.mp4', '..', 'a/..']


@pytest.mark.parametrize('path', OUTSIDE)
def test_a_path_that_leads_out_of_the_root_is_refused_unless_allowed(tmp_path, path):
    with pytest.raises(ValueError, match=r"list.txt:2: '.*' leads out of .*allow_outside=True"):
        videos(tmp_path, f'a.mp4 0\n{path} 1\n')
    assert len(videos(tmp_path, f'{path} 1\n', allow_outside=True)) == 1
    (tmp_path / 'frames.txt').write_text(f'{path} 9 0\n')
    with pytest.raises(ValueError, match='frames.txt:1: .* leads out of'):
        CheckedRawframeDataset('frames.txt', [], data_root=str(tmp_path))


def test_paths_inside_of_the_root_and_without_one(tmp_path):
    for path in ('a/../b.mp4', './b.mp4', '..b.mp4', str(tmp_path / 'b.mp4')):
        assert len(videos(tmp_path, f'{path} 0\n')) == 1
    init_default_scope('mmaction')
    for path in ('/x/b.mp4', '../b.mp4'):
        (tmp_path / 'list.txt').write_text(f'{path} 0\n')
        data = CheckedVideoDataset(str(tmp_path / 'list.txt'), [])
        assert data[0]['filename'] == path


@pytest.mark.parametrize('number', ['1_0', '٣', '-3', '+1', '2.0'])
def test_refuses_odd_numbers(tmp_path, number):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text(f'clip {number} 0\n', encoding='utf-8')
    with pytest.raises(ValueError, match='list.txt:1: total_frames must be an integer'):
        CheckedRawframeDataset('list.txt', [], data_root=str(tmp_path))


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


def raw_frames(tmp_path, text, **options):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text(text)
    options = dict(pipeline=[], num_classes=8, data_root=str(tmp_path)) | options
    return CheckedRawframeDataset('list.txt', **options)


@pytest.mark.parametrize(
    'cls, text, options',
    [
        (RawframeDataset, '7 30 2\nsome/8  40\t1\n', {}),
        (RawframeDataset, '7 30 2 4 6\n8 40 1\n', dict(multi_class=True)),
        (RawframeDataset, '7 12 163 3\n8 0 122 4\n', dict(with_offset=True)),
        (RawframeDataset, '7 12 163 3 5\n8 0 122 4\n', dict(with_offset=True, multi_class=True)),
        (VideoDataset, 'a.mp4 2\nb.mp4 1\n', {}),
        (VideoDataset, 'a.mp4 2 4 6\nb.mp4 1\n', dict(multi_class=True)),
        (VideoDataset, 'a b.mp4,2,4\nb.mp4,1\n', dict(multi_class=True, delimiter=',')),
    ],
)
def test_reads_upstreams_lists_as_upstream_does(tmp_path, cls, text, options):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_text(text)
    options = dict(pipeline=[], num_classes=8, data_root=str(tmp_path)) | options
    upstream = cls('list.txt', **options)
    ours = (CheckedVideoDataset if cls is VideoDataset else CheckedRawframeDataset)(
        'list.txt', **options
    )
    assert len(ours) == len(upstream) == 2
    for mine, row in zip(ours, upstream, strict=True):
        assert mine.pop('video_id') in text
        label = row.pop('label')
        assert torch.equal(torch.as_tensor(mine.pop('label')), torch.as_tensor(label))
        assert mine == row


@pytest.mark.parametrize(
    'text, message',
    [
        ('a.mp4\n', r"list.txt:1: expected 'filename label label ...', got 'a.mp4'"),
        ('a.mp4 1 2\nb.mp4 1 x\n', r"list.txt:2: label must be an integer, got 'x'"),
        ('my a 1\n', r"list.txt:1: label must be an integer, got 'a'"),
        ('a.mp4 1 3\n', r'list.txt:1: label must be 0 to 2 \(num_classes=3\), got 3'),
        ('a.mp4 -1\n', r'list.txt:1: label must be 0 to 2 \(num_classes=3\), got -1'),
    ],
)
def test_refuses_a_broken_list_of_several_labels(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        videos(tmp_path, text, multi_class=True)


def test_several_labels_after_a_path_with_spaces(tmp_path):
    dataset = videos(tmp_path, 'my 2 a.MP4 1 2\nb.mp4 0\n', multi_class=True)
    assert [row['video_id'] for row in map(dataset.get_data_info, (0, 1))] == [
        'my 2 a.MP4',
        'b.mp4',
    ]
    assert dataset.get_data_info(0)['label'].tolist() == [0, 1, 1]


def test_several_labels_in_a_list_of_one_are_no_path(tmp_path):
    with pytest.raises(ValueError, match='list.txt:2: several labels a line need multi_class=True'):
        videos(tmp_path, 'a 1.mp4 1\nb.mp4 1 2\n')


@pytest.mark.parametrize('num_classes', [None, 1])
def test_several_labels_need_the_number_of_classes(tmp_path, num_classes):
    with pytest.raises(ValueError, match=f'num_classes of 2 or more, got {num_classes}'):
        videos(tmp_path, 'a.mp4 0\n', multi_class=True, num_classes=num_classes)


@pytest.mark.parametrize(
    'text, message',
    [
        ('7 30 2\n', r"list.txt:1: expected 'frame_dir offset total_frames label', got '7 30 2'"),
        ('7 0 30 2\n8 -1 30 2\n', 'list.txt:2: offset must be an integer of 0 or more, got -1'),
        ('7 0 -30 2\n', 'list.txt:1: total_frames must be an integer of 0 or more, got -30'),
        ('7 zero 30 2\n', "list.txt:1: offset must be an integer, got 'zero'"),
    ],
)
def test_refuses_a_broken_list_with_offsets(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        raw_frames(tmp_path, text, with_offset=True)


@pytest.mark.parametrize(
    'options', [dict(left_right=True), dict(pipeline=[dict(type='Flip', flip_label_map={0: 1})])]
)
def test_several_labels_cannot_be_mirrored(tmp_path, options):
    options = dict(pipeline=[dict(type='Flip')]) | options
    with pytest.raises(ValueError, match='Flip changes single labels only.*list.txt'):
        videos(tmp_path, 'a.mp4 1 2\n', multi_class=True, **options)
    plain = [dict(type='Flip')]  # classes that look the same in a mirror
    assert len(videos(tmp_path, 'a.mp4 1 2\n', multi_class=True, pipeline=plain)) == 1


def test_offsets_are_decoded_from(frames):
    """A clip that starts at a long video's third frame is that frame on."""
    init_default_scope('mmaction')
    name, count, label = frames.read_text().splitlines()[0].split()
    root = frames.parent / 'rawframes'
    pipeline = [
        dict(type='SampleFrames', clip_len=2, test_mode=True),
        dict(type='CheckedRawFrameDecode'),
    ]
    options = dict(data_prefix=dict(img=str(root)), filename_tmpl='{:05}.jpg', pipeline=pipeline)
    whole = frames.parent / 'whole.txt'
    whole.write_text(f'{name} 2 {label}\n')
    part = frames.parent / 'part.txt'
    part.write_text(f'{name} 2 2 {label}\n')
    first = CheckedRawframeDataset(str(whole), **options)[0]
    third = CheckedRawframeDataset(str(part), with_offset=True, **options)[0]
    assert third['offset'] == 2
    for shift, clip in ((0, first), (2, third)):
        for i, img in enumerate(clip['imgs'], start=1):
            expected = cv2.imread(str(root / name / f'{i + shift:05}.jpg'))[..., ::-1]
            assert np.array_equal(img, expected)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.characters(exclude_categories=['Cs']), max_size=60),
    st.sampled_from(
        [
            (CheckedVideoDataset, {}),
            (CheckedVideoDataset, dict(multi_class=True)),
            (CheckedRawframeDataset, {}),
            (CheckedRawframeDataset, dict(multi_class=True, with_offset=True)),
        ]
    ),
)
@example('a.mp4 1\nb.mp4 \x00 0\n', (CheckedVideoDataset, {}))
@example('a.mp4 ٣\n', (CheckedVideoDataset, {}))
@example('clip 1_0 2\n', (CheckedRawframeDataset, {}))
@example('clip -3 2\n', (CheckedRawframeDataset, {}))
def test_any_list_is_read_or_refused_with_its_line(tmp_path, text, kind):
    init_default_scope('mmaction')
    path = tmp_path / 'list.txt'
    path.write_bytes(text.encode())
    where = re.escape(str(path))
    cls, options = kind
    options = dict(data_root=str(tmp_path), num_classes=3) | options
    try:
        rows = cls('list.txt', [], **options).load_data_list()
    except ValueError as error:
        columns = 'expected|label|offset|total_frames'
        refused = rf'{where}:\d+: ({columns}) .*got .*|{where}: .* no clip'
        assert re.fullmatch(refused, str(error), re.DOTALL), error
    else:
        labels = [row['label'] if 'multi_class' in options else [row['label']] for row in rows]
        assert rows and all(row and set(row) <= {0, 1, 2} for row in labels)
        assert all(row.get('total_frames', 0) >= 0 for row in rows)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_are_refused(tmp_path, content):
    init_default_scope('mmaction')
    (tmp_path / 'list.txt').write_bytes(b'a.mp4 0\n' + content + b'\xff')
    with pytest.raises(ValueError, match=r'list.txt:\d+: '):
        CheckedVideoDataset('list.txt', [], data_root=str(tmp_path), num_classes=3)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.text('aZ0 é_.,/-', max_size=20).map(lambda name: f'x{name}x'),
            st.integers(1, 500),
            st.integers(0, 173),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_was_written_is_read(tmp_path, rows):
    init_default_scope('mmaction')
    lines = [f'{name} {frames} {label}\n' for name, frames, label in rows]
    (tmp_path / 'list.txt').write_text(''.join(lines), encoding='utf-8')
    data = CheckedRawframeDataset('list.txt', [], num_classes=174, data_root=str(tmp_path))
    assert [
        (row['frame_dir'], row['total_frames'], row['label']) for row in data.load_data_list()
    ] == [(f'{tmp_path}/{name}', frames, label) for name, frames, label in rows]


def test_mirrored_classes_are_upstreams(tmp_path):
    root = Path(__file__).parents[2] / 'configs/_base_/datasets'
    maps = [Config.fromfile(root / f'{name}.py').flip_label_map for name in ('sthv1', 'sthv2')]
    assert maps[0] == Config.fromfile(root / 'sthv1_segments.py').flip_label_map
    upstream = (
        'mmaction::recognition/trn/trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb.py',
        'mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb.py',
    )
    for ours, name in zip(maps, upstream, strict=True):
        assert len(ours) == 6 and all(ours[ours[label]] == label for label in ours)
        (tmp_path / 'theirs.py').write_text(f'_base_ = {name!r}')
        pipeline = Config.fromfile(tmp_path / 'theirs.py').train_dataloader.dataset.pipeline
        assert [step.flip_label_map for step in pipeline if step.type == 'Flip'] == [ours]
