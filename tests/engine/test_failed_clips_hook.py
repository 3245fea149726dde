import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.datasets import CheckedRawframeDataset

from .conftest import Vectors, loader

HOOK = dict(type='FailedClipsHook')
CLIPS = 8


class Brightness(BaseModel):
    """A recognizer of two classes by the mean of all pixels."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2)

    def forward(self, inputs, data_samples, mode):
        scores = self.head(torch.stack([clip.float().mean()[None] / 255 for clip in inputs]))
        if mode == 'loss':
            labels = torch.cat([sample.gt_label for sample in data_samples])
            return dict(loss=nn.functional.cross_entropy(scores, labels))
        for sample, score in zip(data_samples, scores, strict=True):
            sample.set_pred_score(score)
        return data_samples


@pytest.fixture
def clips(tmp_path):
    """Makes a list of clips of two frames; those numbers are cut short."""
    init_default_scope('mmaction')

    def clips(name, broken):
        for i in range(CLIPS):
            folder = tmp_path / name / f'{i}'
            folder.mkdir(parents=True)
            for frame in (1, 2):
                img = np.full((8, 8, 3), 20 * i, np.uint8)
                assert cv2.imwrite(str(folder / f'img_{frame:05}.jpg'), img)
            if i in broken:
                data = (folder / 'img_00001.jpg').read_bytes()
                (folder / 'img_00001.jpg').write_bytes(data[: len(data) // 2])
        lines = [f'{name}/{i} 2 {i % 2}\n' for i in range(CLIPS)]
        (tmp_path / f'{name}.txt').write_text(''.join(lines))
        pipeline = [
            dict(type='SampleFrames', clip_len=2, test_mode=True),
            dict(type='CheckedRawFrameDecode'),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs'),
        ]
        options = dict(data_root=str(tmp_path), max_failed_share=0.5, num_classes=2)
        options['test_mode'] = name == 'val'
        return CheckedRawframeDataset(f'{name}.txt', pipeline, **options)

    return clips


def run(train, train_set, val_set, workers=0):
    runner = train(
        model=Brightness(),
        train_dataloader=loader(train_set, workers),
        val_dataloader=loader(val_set, workers),
        val_cfg=dict(),
        val_evaluator=dict(
            type='CheckedAccMetric', metric_options=dict(top_k_accuracy=dict(topk=1))
        ),
        custom_hooks=[HOOK],
    )
    return runner.message_hub.get_scalar('val/acc/failed_clips').current()


@pytest.mark.parametrize('workers', [0, 2])
def test_lists_the_clips_of_each_split(train, clips, tmp_path, workers):
    failed = run(train, clips('train', {1, 6}), clips('val', {0}), workers)
    listed = {path.name: path.read_text() for path in (tmp_path / 'work').glob('failed_clips_*')}
    assert listed == {
        'failed_clips_train.txt': f'{tmp_path}/train/1\n{tmp_path}/train/6\n',
        'failed_clips_val.txt': f'{tmp_path}/val/0\n',
    }
    assert failed == 1
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    assert '2 clips failed: ' in log and 'failed_clips_train.txt' in log


def test_looks_into_wrappers(train, clips, tmp_path):
    some, others = clips('train', {1, 6}), clips('others', {2})
    run(train, ConcatDataset([some, others, some]), RepeatDataset(clips('val', {0}), 2))
    folder = tmp_path / 'work'
    listed = (folder / 'failed_clips_train.txt').read_text().splitlines()
    assert listed == [f'{tmp_path}/{name}' for name in ('train/1', 'train/6', 'others/2')]
    assert (folder / 'failed_clips_val.txt').read_text() == f'{tmp_path}/val/0\n'


def test_configs_use_it(root):
    cfg = Config.fromfile(root / 'configs' / '_base_' / 'default_runtime.py')
    assert HOOK in cfg.custom_hooks


def test_no_file_where_no_clip_failed(train, clips, tmp_path):
    run(train, clips('train', {3}), clips('val', ()))
    assert [path.name for path in (tmp_path / 'work').glob('failed_clips_*')] == [
        'failed_clips_train.txt'
    ]


def test_other_datasets_pass(train, tmp_path):
    train(train_dataloader=loader(Vectors()), custom_hooks=[HOOK])
    assert not list((tmp_path / 'work').glob('failed_clips_*'))
