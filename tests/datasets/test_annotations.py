"""No content of an official file gives anything but clips or ``file:line: what is wrong``."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.annotations import AnnotationError

NAMES = ['Moving something down', 'Moving something up']
READERS = {
    'labels.csv': annotations.read_labels,
    'labels.json': annotations.read_labels,
    'sthv1.csv': lambda path: annotations.read_sthv1(path, NAMES),
    'sthv1-test.csv': lambda path: annotations.read_sthv1(path, None),
    'sthv2.json': lambda path: annotations.read_sthv2(path, NAMES),
    'sthv2-test.json': lambda path: annotations.read_sthv2(path, None),
    'kinetics.csv': lambda path: annotations.read_kinetics(path, NAMES),
    'kinetics-classes.csv': annotations.read_kinetics_classes,
    'vocab.json': annotations.read_diving48_classes,
    'diving48.json': lambda path: annotations.read_diving48(path, NAMES),
}
RECORDS = [
    dict(id='12', template='Moving [something] up'),
    dict(vid_name='a_1', label=1),
    ['Back', '15som'],
]
SAMPLES = {
    '.csv': b'label,youtube_id,time_start,time_end\nMoving something up,abc,1,2\n12;x\n',
    '.json': json.dumps([*RECORDS, {NAMES[0]: '0', NAMES[1]: 1}], indent=1).encode(),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(RECORDS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just('id'), inner),
)


@st.composite
def damaged(draw, suffix):
    """A sample with bytes cut out, put in or changed; JSON of any kind; or any bytes."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return draw(st.binary())
    if kind == 1 and suffix == '.json':
        return json.dumps(draw(JSON)).encode()
    data = SAMPLES[suffix]
    for _ in range(draw(st.integers(1, 3))):
        at, cut = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
        put = draw(st.binary(max_size=3) | st.sampled_from([b'[', b'{', b'"', b'\n', b'\\ud800']))
        data = data[:at] + put + data[at + cut :]
    return data


@pytest.mark.parametrize('name', READERS)
def test_anything_is_read_or_refused_with_file_and_line(tmp_path, name):
    path = tmp_path / name

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(damaged(path.suffix))
    def read(data):
        path.write_bytes(data)
        try:
            rows = READERS[name](path)
        except AnnotationError as error:
            number = re.match(rf'{re.escape(str(path))}:(\d+): ..', str(error))
            assert number and 1 <= int(number[1]) <= data.count(b'\n') + data.count(b'\r') + 1
            assert '\n' not in str(error)
        else:
            for row in rows:
                text = row if isinstance(row, str) else row.name
                assert text.isprintable() and '/' not in getattr(row, 'name', '')

    read()


@pytest.mark.parametrize(
    'name, text, sentence',
    [
        ('sthv1.csv', '7;Moving something up\nx;Moving something up', ":2: the clip must be a num"),
        ('sthv1.csv', '7;Moving something', ":1: 'Moving something' is not one of the 2 classes"),
        ('sthv2.json', '[\n{"id": "1"},\n', ":2: expected an object with 'template'"),
        ('sthv2.json', '[{"id": "../1", "template": ""}]', ":1: the clip must be a number"),
        ('sthv2.json', '[]\n]', ':2: not JSON: more after'),
        ('sthv2-test.json', '[{"id": "1"},\n{"id": true}]', ':2: id must be str or int, got True'),
        ('sthv2-test.json', '[' * 100_000, ':1: not JSON'),
        ('labels.json', '{"a": "0",\n"a": "1"}', ":2: the class 'a' is there twice"),
        ('labels.json', '{"a": "0", "b": "2"}', ':1: 2 classes, but none has label 1'),
        ('labels.csv', '', ':1: the file names no class'),
        ('kinetics.csv', 'label,youtube_id\n', ':1: the header has no column time_start'),
        ('kinetics.csv', 'youtube_id,time_start,time_end\na,1,x', ':2: time_end must be seconds'),
        ('kinetics.csv', 'youtube_id,time_start,time_end\na,1', ':2: expected 3 values'),
        ('diving48.json', '[{"vid_name": "a", "label": 2}]', ':1: label must be 0 to 1, got 2'),
        ('diving48.json', '[\n\n{"vid_name": ".."', ":3: not JSON"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(AnnotationError, match=re.escape(f'{path}{sentence}')):
        READERS[name](path)


def test_reads_what_is_right(tmp_path):
    def read(name, text, *args):
        (tmp_path / name).write_text(text)
        return READERS[name](tmp_path / name)

    assert read('labels.json', '\ufeff{"b": "1", "a": 0}') == ['a', 'b']
    assert read('labels.csv', 'b\r\na\r\n') == ['b', 'a']
    (clip,) = read('sthv2.json', '[\n{"id": 7, "template": "Moving [something] up"}]')
    assert clip == ('7', 1, f'{tmp_path / "sthv2.json"}:2')
    table = 'label,youtube_id,time_start,time_end,split\n"Moving something up",-x,3.0,13,train\n'
    assert read('kinetics.csv', table)[0][:2] == ('-x_000003_000013', 1)
    assert read('kinetics-classes.csv', table) == ['Moving something up']
    assert read('diving48.json', '[{"vid_name": "a_1", "label": 1}]')[0][:2] == ('a_1', 1)
    assert read('vocab.json', '[["Back", "15som"]]') == ['Back+15som']
