import json

import pytest
import torch
from mmengine.config import Config

from mmaction_emim import __version__
from mmaction_emim.apis import describe_export, exported_metadata
from mmaction_emim.apis.export_metadata import FILE


def test_of_a_recipe(root):
    cfg = Config.fromfile(root / 'configs' / 'emim_sthv2.py')
    about = describe_export(cfg, (16, 224, 224), ['a'] * 174)
    assert json.loads(json.dumps(about)) == about  # plain
    assert about['version'] == __version__ and about['config'] == 'emim_sthv2.py'
    assert about['input'] == dict(
        name='clip',
        layout='NCTHW',
        dtype='float32',
        channels='RGB',
        range=[0, 255],
        shape=[16, 224, 224],
    )
    assert about['normalization'] == dict(mean=[114.75] * 3, std=[57.375] * 3, in_graph=True)
    assert about['sampling'] == dict(type='UniformSample', clip_len=16, num_clips=1, test_mode=True)
    assert about['resize'] == dict(short_side=224)
    assert about['crop'] == dict(size=[224, 224], count=3)
    assert about['averaging'] == 'score' and len(about['labels']) == 174
    assert [step['type'] for step in about['pipeline']][:2] == ['CheckedVideoInit', 'UniformSample']


@pytest.mark.parametrize(
    'step, resize',
    [
        (dict(scale=(-1, 256)), dict(short_side=256)),
        (dict(scale=(320, 240), keep_ratio=False), dict(size=[240, 320])),
        (dict(scale=0.5), dict(type='Resize', scale=0.5)),
        (dict(scale=(340, 256)), dict(type='Resize', scale=[340, 256])),
    ],
)
def test_sizes(root, step, resize):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    steps = [dict(type='Resize', **step), dict(type='CenterCrop', crop_size=(320, 240))]
    cfg.test_dataloader.dataset.pipeline += steps
    about = describe_export(cfg, (8, 240, 320), None)
    assert about['resize'] == resize
    assert about['crop'] == dict(size=[240, 320], count=1)
    assert about['labels'] is None


def test_a_file_that_says_nothing(tmp_path):
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(program, tmp_path / 'x.pt2')
    assert exported_metadata(tmp_path / 'x.pt2') == {}
    torch.export.save(program, tmp_path / 'x.pt2', extra_files={FILE: '{"version": "1"}'})
    assert exported_metadata(tmp_path / 'x.pt2') == {'version': '1'}
