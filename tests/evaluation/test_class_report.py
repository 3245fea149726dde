import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mmaction_emim.evaluation.class_report import ClassReport, report_on

NAMES = ['Moving something up', 'Holding something', 'Moving something down', 'Opening something']
LABELS = [0, 0, 0, 0, 1, 1, 2, 2]
PREDICTED = [0, 2, 2, -1, 1, 3, 2, 2]


@pytest.fixture
def report():
    return ClassReport(PREDICTED, LABELS, NAMES)


def test_numbers(report):
    assert report.failed == 1
    assert report.accuracy() == 4 / 8
    np.testing.assert_array_equal(report.class_accuracy(), [1 / 4, 1 / 2, 1, np.nan])
    assert report.metrics() == {
        'mean_class': pytest.approx((1 / 4 + 1 / 2 + 1) / 3),
        'up_down': 3 / 6,
        'opposites_confused': 2 / 6,
    }


def test_text_and_plot(report, tmp_path):
    text = report.text()
    assert '8 clips, 1 could not be read and count as wrong' in text
    assert '  0.5000       6  up/down' in text
    assert '  0.3333       6  Moving something up | Moving something down' in text
    classes = [line.split()[2] for line in text.split('class\n')[-1].splitlines()]
    assert classes == ['0', '1', '2', '3']  # the worst first, the class without a clip last
    report.plot(tmp_path / 'x.png')
    assert cv2.imread(str(tmp_path / 'x.png')).std() > 10
    ClassReport([0], [0], ['archery']).plot(tmp_path / 'y.png')


def test_a_label_without_a_name():
    with pytest.raises(ValueError, match='label 4 has no name: the label map holds 4'):
        ClassReport([4], [0], NAMES)


def samples():
    """As a model's: a failed clip's scores, another clip's, would be right."""
    return [
        dict(
            pred_score=torch.eye(4)[label if predicted < 0 else predicted],
            gt_label=torch.tensor([label]),
            failed=predicted < 0,
        )
        for predicted, label in zip(PREDICTED, LABELS, strict=True)
    ]


def test_the_metric_and_a_dump_say_the_same(report, tmp_path):
    init_default_scope('mmaction')
    (tmp_path / 'label_map.txt').write_text('\n'.join(NAMES))
    cfg = dict(
        type='ClassAccMetric',
        label_map=str(tmp_path / 'label_map.txt'),
        out_dir=str(tmp_path / 'out'),
        metric_options=dict(top_k_accuracy=dict(topk=(1, 2))),
    )
    evaluator = Evaluator(cfg)
    evaluator.process(samples(), None)
    metrics = evaluator.evaluate(len(LABELS))
    assert metrics['acc/top1'] == 0.5 and metrics['acc/failed_clips'] == 1
    assert {f'acc/{k}': v for k, v in report.metrics().items()}.items() <= metrics.items()
    assert (tmp_path / 'out' / 'classes.txt').read_text() == report.text()
    assert report_on(samples(), NAMES).text() == report.text()
