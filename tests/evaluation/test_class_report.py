import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mmaction_emim.evaluation.class_page import write_report
from mmaction_emim.evaluation.class_pictures import confusion_figure
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
    assert '  0.5000       2  Moving something up > Moving something down\n' in text
    write_report(report, tmp_path)
    for name in ('classes.png', 'confusion.png'):
        assert cv2.imread(str(tmp_path / name)).std() > 10
    write_report(ClassReport([0], [0], ['archery']), tmp_path / 'y')


def test_confusions_the_most_frequent_first(report):
    found = [(x.label, x.taken_for, x.clips, x.share) for x in report.confusions()]
    assert found == [(0, 2, [1, 2], 0.5), (1, 3, [5], 0.5)]


def test_the_page_links_to_clips_wherever_they_are(tmp_path):
    clips = ['a b/<1>.mp4', 'javascript:alert(1)', *'cdefgh']
    report = ClassReport(PREDICTED, LABELS, [*NAMES[:3], '<b>'], clips)
    assert 'Moving something up > Moving something down: javascript:alert(1), c' in report.text()
    write_report(report, tmp_path / 'out', tmp_path / 'data')
    page = (tmp_path / 'out' / 'classes.html').read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert links == ['../data/javascript%3Aalert%281%29', '../data/c', '../data/f', '../data/d']
    assert '<td>&lt;b&gt;</td>' in page and '<h2>Could not be read</h2>' in page
    write_report(report, tmp_path / 'out')
    assert 'href' not in (tmp_path / 'out' / 'classes.html').read_text()


def test_a_label_without_a_name():
    with pytest.raises(ValueError, match='label 4 has no name: the label map holds 4'):
        ClassReport([4], [0], NAMES)


@pytest.mark.parametrize('classes', [2, 40])
def test_few_classes_have_names_at_the_axes(classes):
    names = [f'name {i}' for i in range(classes)]
    figure = confusion_figure(np.eye(classes, dtype=int), np.ones(classes, int), names)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert (shown == names) == (classes == 2)


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
