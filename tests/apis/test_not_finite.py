"""A network that answers NaN is an error that names the clip, whoever asks it."""

import numpy as np
import pytest
import torch
from mmaction.models import I3DHead
from mmaction.registry import MODELS
from mmengine.config import Config

from mmaction_emim.apis import (
    MotionInferencer,
    MotionStream,
    extract_features,
    extract_maps,
    init_recognizer,
)
from mmaction_emim.evaluation.motion_report import answer
from mmaction_emim.utils.finite import check_finite
from mmaction_emim.visualization.truth import found_and_true


@pytest.fixture(scope='module')
def clips(root):
    return sorted((root / 'demo' / 'clips').glob('*.mp4'))[:2]


@pytest.fixture(scope='module')
def cfg(root, motion_shapes, tmp_path_factory):
    """The shipped network on two clips."""
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    rows = (motion_shapes / 'test.txt').read_text().splitlines()[:2]
    listed = tmp_path_factory.mktemp('list') / 'test.txt'
    listed.write_text('\n'.join(rows))
    for split in ('val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.dataset.update(data_root=str(motion_shapes), ann_file=str(listed))
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    return cfg


@pytest.fixture
def first(motion_shapes):
    """Name of the first clip that is tested."""
    return (motion_shapes / 'test.txt').read_text().split()[0]


@pytest.fixture(scope='module')
def weights(root, tmp_path_factory):
    """Its weights, all of them NaN."""
    whole = torch.load(root / 'demo' / 'emim_motionshapes.pth', weights_only=True)
    state = whole['state_dict']
    spoilt = {k: x * torch.nan if x.is_floating_point() else x for k, x in state.items()}
    path = tmp_path_factory.mktemp('weights') / 'nan.pth'
    torch.save({**whole, 'state_dict': spoilt}, path)
    return path


@pytest.fixture(scope='module')
def inferencer(cfg, weights):
    return MotionInferencer(cfg, weights, 'cpu', show_progress=False)


def test_a_test(call, cfg, weights, first, tmp_path):
    Config({**cfg, 'test_evaluator': dict(type='AccMetric')}).dump(tmp_path / 'config.py')
    arguments = [str(tmp_path / 'config.py'), str(weights), '--dump', str(tmp_path / 'x.pkl')]
    done = call('tools/test.py', *arguments, '--work-dir', str(tmp_path))
    assert done.returncode == 1 and not (tmp_path / 'x.pkl').exists()
    assert f'error: {first}: 12 of 12 scores are not finite' in done.stderr, done.stderr


def test_predictions(inferencer, clips):
    answers = inferencer([*clips])
    assert [one.error.split(': ')[0] for one in answers] == [str(clip) for clip in clips]
    assert all('12 of 12 scores are not finite' in one.error for one in answers)


def test_one_clip_of_a_batch(inferencer, clips):
    scores = torch.tensor([[0.0] * 12, [0.0] * 11 + [torch.inf]])
    answers = inferencer.postprocess([('a', scores[:1]), ('b', scores[1:])])
    assert answers[0].error is None and answers[1].error.startswith('b: 1 of 12 scores')


def test_a_stream(inferencer, clips):
    with pytest.raises(FloatingPointError, match=f'{clips[0].name}: frames 0 to .* not finite'):
        next(MotionStream(inferencer)(clips[0]))


@pytest.mark.parametrize('whole', [False, True])
def test_features(cfg, weights, clips, tmp_path, whole):
    (report,) = extract_features(cfg, weights, clips[0], tmp_path, whole=whole, device='cpu')
    assert f'{clips[0].name}: ' in report.error and 'features are not finite' in report.error
    assert not list(tmp_path.glob('*.npz'))


def test_maps(cfg, weights, first, tmp_path):
    with pytest.raises(ValueError, match=f'{first}: the backbone gave nan, which does not fit'):
        extract_maps(cfg, weights, tmp_path, ['test'], device='cpu', show_progress=False)
    assert not list(tmp_path.rglob('*.npy'))


def test_a_motion_report(cfg, weights, first):
    with pytest.raises(FloatingPointError, match=f'{first}: 12 of 12 scores are not finite'):
        answer(init_recognizer(cfg, weights, 'cpu'), cfg)


def test_motion_fields(call, inferencer, root, clips, weights, tmp_path):
    with pytest.raises(FloatingPointError, match=r'attn, \w+: .* displacements are not finite'):
        found_and_true(inferencer.model, clips=1)
    arguments = [str(root / 'configs' / 'emim_motionshapes.py'), str(weights), str(clips[0])]
    done = call('tools/visualizations/motion_field.py', *arguments, '--out', f'{tmp_path}/x.png')
    assert done.returncode == 1 and not list(tmp_path.iterdir())
    assert f'error: {clips[0]}: 12 of 12 scores are not finite' in done.stderr


def test_an_export(call, root, weights, tmp_path):
    config = str(root / 'configs' / 'emim_motionshapes.py')
    arguments = [config, str(weights), f'{tmp_path}/x.pt2', '--shape', '2', '32', '32']
    done = call('tools/deployment/export.py', *arguments)
    assert done.returncode == 1 and not list(tmp_path.iterdir())
    assert f'error: {weights}: 36 of 36 scores of random clips are not finite' in done.stderr


@MODELS.register_module()
class NaNAsAGraph(I3DHead):
    def forward(self, x, **kwargs):
        scores = super().forward(x, **kwargs)
        return scores * torch.nan if torch.compiler.is_compiling() else scores


@pytest.mark.slow
def test_an_export_whose_file_alone_gives_nan(call, root, tmp_path):
    config = tmp_path / 'config.py'
    base = root / 'configs' / 'emim_motionshapes.py'
    config.write_text(f"_base_ = {str(base)!r}\nmodel = dict(cls_head=dict(type='NaNAsAGraph'))\n")
    arguments = [str(config), str(root / 'demo' / 'emim_motionshapes.pth'), f'{tmp_path}/x.pt2']
    done = call('tools/deployment/export.py', *arguments, '--shape', '2', '32', '32')
    assert done.returncode == 1 and [*tmp_path.iterdir()] == [config]
    assert 'x.pt2: differs from PyTorch by nan; not written' in done.stderr


def test_what_is_finite():
    check_finite(dict(a=torch.ones(2), b=np.array([1, 2]), c=torch.tensor(3)), 'x')
    with pytest.raises(FloatingPointError, match='x: 1 of 2 logits'):
        check_finite(dict(a=torch.ones(2), b=np.array([1, -np.inf])), 'x', 'logits')
