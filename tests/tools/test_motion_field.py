from pathlib import Path

import av
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from mmaction_emim.datasets.motion_shapes import render_clip
from mmaction_emim.visualization import write_pictures

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'tools/visualizations/motion_field.py'
INSERTED = """
_base_ = '{root}/configs/emim_motionshapes.py'
inner = dict(type='EMIMUniFormer', arch='tiny', alternation='G', spatial_stride=2)
model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=inner,
        motion=dict(type='{motion}'),
        mode='insert',
        stages=[3],
    )
)
"""


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    """Config and checkpoint of untrained networks with EMIM, M2A, ATA and nothing."""
    init_default_scope('mmaction')
    folder = tmp_path_factory.mktemp('networks')
    motions = dict(m2a='MotionAwareAttention', ata='AlignmentGuidedTemporalAttention')
    texts = {name: INSERTED.format(root=ROOT, motion=motion) for name, motion in motions.items()}
    texts['emim'] = f"_base_ = '{ROOT}/configs/emim_motionshapes.py'"
    texts['none'] = texts['emim'] + (
        "\nmodel = dict(backbone=dict(_delete_=True, type='EMIMUniFormer', arch='tiny', "
        "alternation='G', spatial_stride=2))"
    )
    made = {}
    for name, text in texts.items():
        config, checkpoint = folder / f'{name}.py', folder / f'{name}.pth'
        config.write_text(text)
        model = MODELS.build(Config.fromfile(config).model)
        torch.save(model.state_dict(), checkpoint)
        made[name] = str(config), str(checkpoint)
    return made


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    write_pictures(render_clip(1, 0, 24, 64), path, fps=12)
    return str(path)


def test_a_sheet_of_arrows_over_the_frames(run, networks, clip, tmp_path):
    out = tmp_path / 'field.PNG'
    done = run(TOOL, *networks['emim'], clip, '--out', str(out))
    assert done.returncode == 0, done.stderr
    assert f'field of backbone.blocks3.0.attn: {out}' in done.stdout
    with Image.open(out) as sheet:
        assert sheet.size == (4 * (192 + 6) + 200, 2 * (192 + 6))  # seven pairs and the legend


@pytest.mark.parametrize(
    'name, options, suffix, frames',
    [
        ('emim', ['--head', '0', '--style', 'arrows', '--fps', '2'], '.mp4', 7),
        ('emim', ['--layer', 'backbone.blocks3.0.attn'], '.gif', 7),
        ('emim', ['--show', 'cost-volume', '--token', '3', '4', '--pair', '6'], '.PNG', 1),
        ('m2a', [], '.png', 1),
        ('ata', ['--fps', '2'], '.gif', 8),
        ('ata', [], '.PNG', 1),
    ],
)
def test_every_picture(call, networks, clip, tmp_path, name, options, suffix, frames):
    out = tmp_path / 'new' / f'x{suffix}'
    done = call(TOOL, *networks[name], clip, '--out', str(out), *options)
    assert done.returncode == 0, done.stderr
    if suffix == '.mp4':
        with av.open(str(out)) as container:
            assert len(list(container.decode(video=0))) == frames
    else:
        with Image.open(out) as image:
            assert getattr(image, 'n_frames', 1) == frames and min(image.size) > 250


@pytest.mark.parametrize(
    'name, options, sentence',
    [
        ('none', [], 'none of its layers is EMIMAttention'),
        ('emim', ['--show', 'tracks'], 'none of its layers is AlignmentGuidedTemporalAttention'),
        ('emim', ['--layer', 'x'], "layer: got 'x'; EMIMAttention layers are backbone.blocks3"),
        ('emim', ['--head', '1'], 'head must be from 0 to 0, got 1'),
        ('emim', ['--view', '1'], '--view must be from 0 to 0, got 1'),
        ('emim', ['--token', '1', '1'], '--token has no effect on field in'),
        ('emim', ['--fps', '3'], '--fps has no effect'),
        ('emim', ['--show', 'cost-volume'], 'give the token, --token ROW COLUMN'),
        ('emim', ['--show', 'cost-volume', '--token', '8', '0'], 'token row must be from 0 to 7'),
        ('emim', ['--out', 'x.gif', '--show', 'attention'], 'x.gif: attention is one picture'),
        ('emim', ['--out', 'x.jpeg'], 'the suffix must be one of .png, .gif, .mp4'),
    ],
)
def test_one_sentence_for_what_is_wrong(call, networks, clip, tmp_path, name, options, sentence):
    out = [] if '--out' in options else ['--out', str(tmp_path / 'x.png')]
    done = call(TOOL, *networks[name], clip, *out, *options)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_motion_against_the_truth(call, networks, tmp_path):
    out = tmp_path / 'truth.png'
    done = call(
        'tools/visualizations/motion_truth.py', *networks['emim'], '--clips', '1', '--out', str(out)
    )
    assert done.returncode == 0, done.stderr
    assert 'backbone.blocks3.0.attn, 8 frames, one in 3, 64 x 64 px; 1 clips a class' in done.stdout
    assert 'all, confidence' in done.stdout and 'counterclockwise' in done.stdout
    with Image.open(out) as image:
        assert image.size == (990, 418)
