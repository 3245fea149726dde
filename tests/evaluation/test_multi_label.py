import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mmaction_emim.evaluation import MultiLabelReport
from mmaction_emim.evaluation.class_page import write_report
from mmaction_emim.evaluation.multi_label_report import multi_label_report_on

NAMES = ['clap', 'jump', 'wave', 'nobody does it']
LABELS = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 1, 0.0]])
SCORES = torch.tensor(
    [
        [2.0, 1.0, -9.0, -9.0],
        [-1.0, 2.0, -9.0, -9.0],
        [0.5, 0.0, 1.0, -9.0],
        [-3.0, -9.0, 2.0, -9.0],
        [9.0, 9.0, 9.0, 9.0],  # could not be read
    ]
)


def samples():
    return [
        dict(pred_score=score, gt_label=label, failed=i == 4, video_id=f'{i}.mp4')
        for i, (score, label) in enumerate(zip(SCORES, LABELS, strict=True))
    ]


@pytest.fixture
def report():
    return multi_label_report_on(samples(), NAMES)


def test_average_precision_by_its_formula(report):
    """Precision where each clip of the class is found, their mean; the failed one is found last."""
    clap = (1 / 1 + 2 / 3 + 3 / 5) / 3  # order of clips: 0, 2, 1, 3, 4
    jump = (1 / 2 + 2 / 3) / 2
    wave = (1 / 1 + 2 / 2 + 3 / 5) / 3
    np.testing.assert_allclose(report.average_precision, [clap, jump, wave, math.nan], rtol=1e-6)
    assert report.mean_average_precision() == pytest.approx((clap + jump + wave) / 3)


def test_what_is_there_at_a_threshold(report):
    # Said: clap of 0 and 2, jump of 0, 1 and 2, wave of 2 and 3.
    np.testing.assert_array_equal(report.precision, [1 / 2, 2 / 3, 1, math.nan])
    np.testing.assert_array_equal(report.recall, [1 / 3, 1, 2 / 3, math.nan])
    assert report.metrics() == dict(precision=5 / 7, recall=5 / 8, f1=10 / 15)
    strict = multi_label_report_on(samples(), NAMES, threshold=0.7)
    assert strict.said.sum() == 5  # the sigmoids of 1 and 2


def test_files(report, tmp_path):
    text = report.text()
    assert '5 clips of 1.60 labels on average, 1 could not be read and count as wrong' in text
    assert '  0.5833     0.6667   1.0000       2  1 jump\n' in text
    assert text.splitlines()[-1].split() == ['-', '-', '-', '0', '3', *NAMES[3].split()]
    write_report(report, tmp_path / 'out', tmp_path)
    assert cv2.imread(str(tmp_path / 'out' / 'classes.png')).std() > 10
    page = (tmp_path / 'out' / 'classes.html').read_text()
    wrong = page.split('Said to be there, and not labelled')[1].split('</table>')[0]
    assert [wrong.index(f'>{i}.mp4<') for i in (1, 2)] == sorted(
        wrong.index(f'>{i}.mp4<') for i in (1, 2)
    )
    assert 'href="../1.mp4"' in wrong and '4.mp4' not in wrong
    assert '4.mp4' in page.split('Could not be read')[1]


def test_the_metric_and_a_dump_say_the_same(report, tmp_path):
    init_default_scope('mmaction')
    (tmp_path / 'label_map.txt').write_text('\n'.join(NAMES))
    evaluator = Evaluator(
        dict(
            type='MultiLabelMetric',
            label_map=str(tmp_path / 'label_map.txt'),
            out_dir=str(tmp_path / 'out'),
        )
    )
    evaluator.process(samples(), None)
    metrics = evaluator.evaluate(len(LABELS))
    expected = dict(report.metrics(), mean_average_precision=report.mean_average_precision())
    assert metrics == pytest.approx({f'acc/{k}': v for k, v in expected.items()} | {FAILED: 1})
    assert (tmp_path / 'out' / 'classes.txt').read_text() == report.text()


FAILED = 'acc/failed_clips'


def test_one_sentence():
    for options in (dict(threshold=1), dict(threshold=0.0)):
        with pytest.raises(ValueError, match='threshold must be above 0 and below 1'):
            MultiLabelReport(SCORES, LABELS, NAMES, **options)
    with pytest.raises(ValueError, match='3 names of classes, but 4 scores a clip'):
        MultiLabelReport(SCORES, LABELS, NAMES[:3])
    with pytest.raises(ValueError, match='0 or 1, of each class, got .4,. and .1,.'):
        multi_label_report_on([dict(pred_score=SCORES[0], gt_label=torch.tensor([1]))], NAMES)
    init_default_scope('mmaction')
    with pytest.raises(ValueError, match='top_k_accuracy is of clips with one label'):
        Evaluator(dict(type='MultiLabelMetric', metric_list=('top_k_accuracy',)))
