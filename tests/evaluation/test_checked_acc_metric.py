import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

from mmaction_emim.evaluation import CheckedAccMetric


def samples(failed, classes=5):
    """Ten clips of so many classes, all scored right."""
    return [
        dict(
            pred_score=torch.eye(classes)[i % classes],
            gt_label=torch.tensor([i % classes]),
            failed=i in failed,
        )
        for i in range(10)
    ]


def evaluate(data):
    init_default_scope('mmaction')
    evaluator = Evaluator(dict(type='CheckedAccMetric'))
    for half in (data[:6], data[6:]):
        evaluator.process(half, None)
    return evaluator.evaluate(len(data))


def test_failed_clips_are_wrong_and_counted():
    metrics = evaluate(samples({0, 1, 7}))
    assert metrics['acc/failed_clips'] == 3
    assert metrics['acc/top1'] == metrics['acc/mean1'] == pytest.approx(0.7)
    assert evaluate(samples({}, classes=6))['acc/top5'] == 1.0


@pytest.mark.parametrize('classes', [2, 5])
def test_no_top_k_of_all_classes(classes):
    assert {*evaluate(samples({}, classes))} == {'acc/top1', 'acc/mean1', 'acc/failed_clips'}


def test_scores_and_samples_are_left_as_they_are():
    data = samples({0})
    del data[1]['failed']
    metric = CheckedAccMetric()
    metric.process(None, data)
    assert torch.equal(data[0]['pred_score'], torch.eye(5)[0])
    assert [result['failed'] for result in metric.results[:2]] == [True, False]


def test_a_failed_clip_of_several_labels_lacks_them_all():
    init_default_scope('mmaction')
    metrics = {}
    for failed in (False, True):
        data = [
            dict(
                pred_score=torch.eye(5)[i % 5] + torch.eye(5)[(i + 1) % 5],
                gt_label=torch.eye(5)[i % 5] + torch.eye(5)[(i + 1) % 5],  # as multi_class gives it
                failed=failed and i < 2,
            )
            for i in range(10)
        ]
        evaluator = Evaluator(dict(type='CheckedAccMetric', metric_list='mean_average_precision'))
        evaluator.process(data, None)
        metrics[failed] = evaluator.evaluate(len(data))
    assert metrics[False]['acc/mean_average_precision'] == 1.0
    assert metrics[True]['acc/mean_average_precision'] < 0.95
    assert metrics[True]['acc/failed_clips'] == 2
