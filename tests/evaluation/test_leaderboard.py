import csv
import io

import cv2
import pytest
import torch
from mmengine.config import Config

from mmaction_emim.evaluation.leaderboard import (
    Row,
    csv_text,
    markdown,
    measure,
    plot,
    read_entries,
    read_published,
)

from ..conftest import ROOT

ROWS = [
    Row('ours', 'Kinetics-400', 16, '4 x 3', 'raw', 21.5, 84.9, 1018.8, 80.0, 94.0, 79.9, 9, 0),
    Row('better', 'Kinetics-400', 16, '4 x 1', 'raw', 21.5, 84.9, 339.6, 81.0, 94.0, 80.9, 9, 1),
    Row('other', 'Diving48', 16, '1 x 3', 'raw', 21.5, 84.9, 254.7, 70.0, 90.0, 69.9, 9, 0),
]
PUBLISHED = ROOT / 'configs' / 'published.yml'


def test_measure_counts_failed_clips_as_wrong():
    cfg = Config.fromfile(ROOT / 'configs' / 'emim_motionshapes.py')
    results = [
        dict(pred_score=torch.eye(12)[guess], gt_label=torch.tensor([label]))
        for guess, label in [(0, 0), (0, 0), (1, 0), (2, 2), (3, 2)]
    ]
    results[0]['failed'] = True
    row = measure('x', cfg, results, parameters=1_500_000, macs=2_000_000_000)
    assert (row.top1, row.mean_class, row.failed, row.clips) == (40.0, 41.67, 1, 5)
    assert row.top5 == 80.0  # ties keep the labels' order, as class 0 and 2 are among the first
    assert (row.data, row.frames, row.views) == ('MotionShapes', 8, '1 x 1')
    assert (row.params_m, row.gflops_view, row.gflops) == (1.5, 2.0, 2.0)


def test_several_labels_are_refused():
    cfg = Config.fromfile(ROOT / 'configs' / 'emim_motionshapes.py')
    result = dict(pred_score=torch.rand(12), gt_label=torch.eye(12)[0])
    with pytest.raises(ValueError, match='x: its clips have several labels, and top-1 is of one'):
        measure('x', cfg, [result], parameters=1, macs=1)


def test_gflops_are_of_all_views():
    cfg = Config.fromfile(ROOT / 'configs' / 'emim_k400.py')
    result = dict(pred_score=torch.eye(400)[0], gt_label=torch.tensor([0]))
    row = measure('x', cfg, [result], parameters=1, macs=1_000_000_000)
    assert (row.views, row.gflops_view, row.gflops) == ('4 x 3', 1.0, 12.0)


def test_tables_and_plot(tmp_path):
    peers = read_published(PUBLISHED)
    text = markdown(ROWS, peers, {'broken': 'no such file'})
    assert text.index('| better |') < text.index('| ours |') < text.index('## Diving48')
    published = text[text.index('Published by others') : text.index('## Diving48')]
    assert '| UniFormer-S, 16 | Kinetics-400 | 80.8 | 167 |' in published
    assert 'Something-Something' not in text and '- broken: no such file' in text
    (*_, last) = csv.DictReader(io.StringIO(csv_text(ROWS)))
    assert last['name'] == 'other' and last['top1'] == '70.0'
    plot(ROWS, peers, tmp_path / 'x.png')
    assert cv2.imread(str(tmp_path / 'x.png')).std() > 10


@pytest.mark.parametrize(
    'text, sentence',
    [
        ('{a: 1}', 'expected a list of entries'),
        ('- config: x.py', 'entry 1: expected config, checkpoint, perhaps name, cfg_options'),
        ('- {config: x.py, checkpoint: y}', "entry 1: config 'x.py' does not exist"),
        (
            '- {config: C, checkpoint: C}\n- {config: C, checkpoint: C}',
            "name 'runs' is there twice",
        ),
        ('- {config: C, checkpoint: C, name: a/b}', "name 'a/b' must be the name of a folder"),
        ('- {config: C, checkpoint: C, cfg_options: [a]}', 'cfg_options must be key: value'),
        ('- [', 'not YAML'),
        ('[' * 10_000, 'not YAML: maximum recursion depth exceeded'),
        ('- 2020-13-45', 'not YAML: month must be in 1..12'),
        ('\n'.join(['- &a0 [x]', *(f'- &a{i + 1} [*a{i}, *a{i}]' for i in range(99))]), 'an alias'),
        (f'- {{config: C, checkpoint: C, name: "{"x" * 300}"}}', 'must be the name of a folder'),
        (f'- {{config: "{"x" * 300}", checkpoint: C}}', 'cannot be read: File name too long'),
        ('- {config: , checkpoint: C}', 'config must be the path of a file, got None'),
        ('x' * 300_000, 'a list of at most 262,144 characters, got 300,000'),
        ('- é', r'runs.yml:1: expected UTF-8 text'),
    ],
)
def test_one_clear_sentence(tmp_path, text, sentence):
    path = tmp_path / 'runs.yml'
    path.write_text(text.replace('C', str(path)), encoding='latin1')
    with pytest.raises(ValueError, match=sentence):
        read_entries(path)


@pytest.mark.parametrize(
    'value, sentence',
    [
        ('top1: x', "entry 1: top1 must be a number, got 'x'"),
        ('gflops: true', 'gflops must be a number, got True'),
        ('gflops: 0', 'gflops above 0'),
        ('top1: .nan', 'top1 must be a percentage'),
        ('name: [a]', 'name must be a text'),
    ],
)
def test_a_published_result_of_other_kinds(tmp_path, value, sentence):
    values = dict(
        pair.split(': ') for pair in ('name: a', 'data: b', 'top1: 1', 'gflops: 2', value)
    )
    path = tmp_path / 'published.yml'
    path.write_text('- {' + ', '.join(f'{k}: {v}' for k, v in values.items()) + '}')
    with pytest.raises(ValueError, match=sentence):
        read_published(path)


def test_anchors_that_hold_no_alias_are_taken(tmp_path):
    path = tmp_path / 'runs.yml'
    common = f'&all {{config: {path}, checkpoint: {path}}}'
    path.write_text(f'- {common}\n- {{<<: *all, name: again}}')
    assert [entry.name for entry in read_entries(path)] == ['runs', 'again']
