"""A clip that could not be read is wrong for any metric, whoever wrote it."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmaction_emim.datasets import CheckedRawframeDataset
from mmaction_emim.datasets.failed_sample import FailedSample, wrong_scores

CLASSES = 4


class Red(BaseModel):
    """Sees class 2, and where there are several class 3 too, in every frame."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, inputs, data_samples, mode):
        for sample in data_samples:
            sample.set_pred_score(self.scores.clone())
            sample.set_pred_label(self.scores.argmax(-1, keepdim=True))
        return data_samples


@METRICS.register_module()
class OfTheUsersOwn(BaseMetric):
    default_prefix = 'own'

    def process(self, data_batch, data_samples):
        self.results += [bool(x['pred_label'] == x['gt_label']) for x in data_samples]

    def compute_metrics(self, results):
        return dict(right=np.mean(results))


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Four folders of frames, the first one's cut short."""
    root = tmp_path_factory.mktemp('clips')
    for i in range(4):
        (root / f'{i}').mkdir()
        for frame in (1, 2):
            cv2.imwrite(str(root / f'{i}/img_{frame:05}.jpg'), np.full((8, 8, 3), 60 * i, np.uint8))
    whole = (root / '0/img_00001.jpg').read_bytes()
    (root / '0/img_00001.jpg').write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture
def score(clips, tmp_path):
    """Tests a network that is right of every clip, on four of which the first cannot be read."""
    init_default_scope('mmaction')

    def score(metric, several=False):
        labels = ['2 3', '2 3', '3', '2'] if several else ['2'] * 4
        lines = [f'{i} 2 {label}\n' for i, label in enumerate(labels)]
        (tmp_path / 'list.txt').write_text(''.join(lines))
        pipeline = [
            dict(type='SampleFrames', clip_len=2, test_mode=True),
            dict(type='CheckedRawFrameDecode'),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs'),
        ]
        dataset = CheckedRawframeDataset(
            str(tmp_path / 'list.txt'), pipeline, data_prefix=dict(img=str(clips)),
            test_mode=True, num_classes=CLASSES, multi_class=several,
        )  # fmt: skip
        runner = Runner(
            Red(torch.tensor([0.0, 0.1, 0.6, 0.3])),
            str(tmp_path / 'work'),
            test_dataloader=dict(
                batch_size=2, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=False)
            ),
            test_evaluator=metric,
            test_cfg=dict(),
            default_scope='mmaction',
            experiment_name=f'{tmp_path.name}{metric["type"]}',
        )
        return runner.test()

    return score


TOP_1 = dict(top_k_accuracy=dict(topk=1))


@pytest.mark.parametrize('kind', ['AccMetric', 'CheckedAccMetric'])
def test_accuracy(score, kind):
    metrics = score(dict(type=kind, metric_options=TOP_1))
    assert metrics['acc/top1'] == 0.75  # and 1.0 by the next clip's frames


def test_a_confusion_matrix(score):
    matrix = score(dict(type='ConfusionMatrix'))['confusion_matrix/result']
    assert matrix[2].tolist() == [1, 0, 3, 0]


def test_a_metric_of_the_users_own(score):
    assert score(dict(type='OfTheUsersOwn'))['own/right'] == 0.75


def test_average_precision(score):
    metrics = score(dict(type='AccMetric', metric_list='mean_average_precision'), several=True)
    # The clip that failed is the last of four in both classes; the others tie, 2 of 3 right.
    expected = 2 / 3 * 2 / 3 + 1 / 3 * 3 / 4
    assert metrics['acc/mean_average_precision'] == pytest.approx(expected)


def test_scores_of_views_modalities_and_dtypes():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        wrong = wrong_scores(torch.rand(3, 5, dtype=dtype), torch.tensor([4]))
        assert wrong.dtype == dtype and wrong.isfinite().all() and (wrong.argmin(-1) == 4).all()
    both = wrong_scores(dict(rgb=torch.rand(2), pose=torch.rand(2)), torch.tensor([0]))
    assert {name: int(x.argmax()) for name, x in both.items()} == dict(rgb=1, pose=1)


def test_it_is_a_failed_one_on_every_way():
    sample = ActionDataSample(metainfo=dict(video_id='x')).set_gt_label(1)
    failed = pickle.loads(pickle.dumps(FailedSample.of(sample))).to('cpu')
    failed.pred_score = torch.tensor([0.1, 0.9])
    failed = failed.detach()
    failed.pred_label = torch.tensor([1])
    data = failed.to_dict()
    assert data['failed'] and data['video_id'] == 'x'
    assert data['pred_score'].argmax() == 0 and data['pred_label'].tolist() == [0]
    assert data['num_classes'] if 'num_classes' in data else True
