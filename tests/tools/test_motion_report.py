import re

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

TOOL = 'tools/analysis_tools/motion_report.py'
# A network of MMAction2's on single frames, whose mean score does not know their order.
TSN = """
_base_ = 'mmaction::_base_/default_runtime.py'
model = dict(
    type='Recognizer2D',
    backbone=dict(type='ResNet', depth=18, pretrained='torchvision://resnet18', norm_eval=False),
    cls_head=dict(type='TSNHead', num_classes=12, in_channels=512, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[115] * 3, std=[57] * 3, format_shape='NCHW'),
)
pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=4, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
test_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='VideoDataset', ann_file='{data}/test.txt', data_prefix=dict(video='{data}'),
                 pipeline=pipeline, test_mode=True),
)
"""


def save(config, path):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    cfg = Config.fromfile(config)
    cfg.model.backbone.pop('pretrained', None)
    torch.save(MODELS.build(cfg.model).state_dict(), path)
    return str(path)


def rows(text):
    table = re.findall(r'^\| ([a-z ]+?) \| ([\d.]+) .* ([\d.]+) \|$', text, re.MULTILINE)
    return {order: (float(top1), float(same)) for order, top1, same in table}


def test_table_and_plot_of_a_network_of_ours(run, root, motion_shapes, tmp_path):
    checkpoint = save(root / 'configs/emim_motionshapes.py', tmp_path / 'x.pth')
    out = tmp_path / 'report'
    done = run(
        TOOL, 'emim_motionshapes', checkpoint, '--out', str(out), '--orders', 'every_second',
        '--cfg-options', f'data_root={motion_shapes}', 'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (out / 'motion_report.md').read_text()
    assert text in done.stdout and (out / 'motion_report.png').stat().st_size > 1000
    assert text.startswith('24 clips of 12 classes, 0 could not be read')
    assert list(rows(text)) == ['forward', 'every second']
    assert rows(text)['forward'][1] == 1


def test_a_network_of_upstream_that_averages_frames_does_not_see_their_order(
    call, motion_shapes, tmp_path
):
    config = tmp_path / 'tsn.py'
    config.write_text(TSN.replace('{data}', str(motion_shapes)))
    checkpoint = save(config, tmp_path / 'x.pth')
    orders = ['--orders', 'reversed', 'shuffled', 'static', '--seed', '3']
    done = call(TOOL, str(config), checkpoint, *orders)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert found['forward'] == found['reversed'] == found['shuffled']
    assert found['forward'][1] == 1 and list(found)[-1] == 'static'


def test_one_sentence_for_names_that_do_not_fit(call, root, tmp_path):
    checkpoint = save(root / 'configs/emim_motionshapes.py', tmp_path / 'x.pth')
    labels = tmp_path / 'labels.txt'
    labels.write_text('a\nb\nc\n')
    done = call(TOOL, 'emim_motionshapes', checkpoint, '--labels', str(labels))
    assert done.returncode == 1
    assert '3 names, but the network has 12' in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_two_processes_say_what_one_does(run, call, motion_shapes, tmp_path):
    """25 clips, of which the last is tested by both."""
    config = tmp_path / 'tsn.py'
    config.write_text(TSN.replace('{data}', str(motion_shapes)))
    rows = (motion_shapes / 'test.txt').read_text().splitlines()
    (tmp_path / 'odd.txt').write_text('\n'.join([*rows, rows[0]]))
    options = ['--cfg-options', f'test_dataloader.dataset.ann_file={tmp_path / "odd.txt"}']
    arguments = [str(config), save(config, tmp_path / 'x.pth'), '--orders', 'static']
    one, two = tmp_path / 'one', tmp_path / 'two'
    done = call(TOOL, *arguments, '--out', str(one), *options)
    assert done.returncode == 0, done.stderr
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', TOOL]
    done = run(*launch, *arguments, '--out', str(two), '--launcher', 'pytorch', *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('25 clips of 12 classes') == 1
    said = [(folder / 'motion_report.md').read_text() for folder in (one, two)]
    assert said[0] == said[1]


def test_several_processes_without_a_launcher_are_refused(call, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    done = call(TOOL, 'emim_motionshapes', 'x.pth')
    assert done.returncode == 1
    assert '--launcher pytorch: 2 processes were launched' in done.stderr.splitlines()[-1]
