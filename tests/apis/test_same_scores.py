"""A clip has the same scores wherever it is predicted."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmaction_emim.apis import MotionInferencer, load_exported
from mmaction_emim.apis.page import Page
from mmaction_emim.datasets.motion_shapes import CLASSES

from ..same_scores import same_scores


@pytest.fixture(scope='module')
def truth(call, motion_shapes, tmp_path_factory):
    return same_scores(call, motion_shapes, tmp_path_factory.mktemp('same'))


@pytest.fixture(scope='module')
def inferencer(truth):
    return MotionInferencer(truth.config, truth.checkpoint, 'cpu', show_progress=False)


@pytest.mark.parametrize('batch_size', [1, 8])
def test_of_the_inferencer(truth, inferencer, batch_size):
    truth.check([one.scores for one in inferencer(truth.clips, batch_size)])


def test_of_the_demo(truth, call, tmp_path):
    (tmp_path / 'clips').mkdir()
    for i, clip in enumerate(truth.clips):
        (tmp_path / 'clips' / f'{i:02}_{clip.split("/")[-1]}').symlink_to(clip)
    out = tmp_path / 'out.json'
    arguments = [str(tmp_path / 'clips'), str(truth.config), str(truth.checkpoint)]
    done = call('demo/demo.py', *arguments, '--out', str(out), '--batch-size', '4')
    assert done.returncode == 0, done.stderr
    truth.check([one['scores'] for one in json.loads(out.read_text())['predictions']])


def test_of_the_page(truth, tmp_path):
    """Of demo/web.py, without gradio; tests/demo/test_web.py reads the bars in a browser."""
    page = Page({'ours': (truth.config, truth.checkpoint)}, tmp_path, device='cpu')
    for clip, scores in zip(truth.clips, truth.scores, strict=True):
        shown = page.answer(Path(clip), 'clip', 'ours').bars
        best = scores.softmax(0).topk(5)
        assert list(shown) == [CLASSES[i] for i in best.indices]
        torch.testing.assert_close(list(shown.values()), best.values.tolist(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_of_the_exported_file(truth, inferencer, call, tmp_path):
    out = tmp_path / 'model.pt2'
    arguments = [str(truth.config), str(truth.checkpoint), str(out), '--shape', '8', '32', '32']
    done = call('tools/deployment/export.py', *arguments)
    assert done.returncode == 0, done.stderr
    scores = load_exported(out)
    with torch.no_grad():
        found = [scores(inferencer.load(clip).float()).mean(0) for clip in truth.clips]
    truth.check(torch.stack(found), tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('views', [1, 3])
def test_of_an_onnx_file_without_this_project(truth, call, root, tmp_path, monkeypatch, views):
    """demo/exported.py, with OpenCV's decoder, one view as the config and three of another."""
    config, expected = truth.config, truth.scores
    if views == 3:
        config = tmp_path / 'three.py'
        config.write_text(
            f'_base_ = {str(truth.config)!r}\n'
            'test_dataloader = dict(dataset=dict(pipeline=[\n'
            "    dict(type='CheckedVideoInit'),\n"
            "    dict(type='UniformSample', clip_len=8, num_clips=1, test_mode=True),\n"
            "    dict(type='DecordDecode'),\n"
            "    dict(type='Resize', scale=(-1, 48)),\n"
            "    dict(type='ThreeCrop', crop_size=48),\n"
            "    dict(type='FormatShape', input_format='NCTHW'),\n"
            "    dict(type='PackActionInputs'),\n"
            ']))\n'
        )
        inferencer = MotionInferencer(config, truth.checkpoint, 'cpu', show_progress=False)
        expected = np.stack([one.scores for one in inferencer(truth.clips)])
    out, side = tmp_path / 'model.onnx', '48' if views == 3 else '32'
    arguments = [str(config), str(truth.checkpoint), str(out), '--shape', '8', side, side]
    done = call('tools/deployment/export.py', *arguments)
    assert done.returncode == 0, done.stderr
    found = []
    for clip in truth.clips:
        monkeypatch.setattr(sys, 'argv', ['exported.py', str(out), clip])
        found.append(runpy.run_path(str(root / 'demo' / 'exported.py'))['scores'])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
