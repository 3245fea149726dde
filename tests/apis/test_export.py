import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.apis import export, exportable, exported_metadata, load_exported

SHAPE = 4, 24, 20  # T, H, W
CLIPS = torch.rand(3, 3, *SHAPE, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(scope='module', params=['backbone', 'neck'])
def trained(request, tmp_path_factory, root):
    """(config, checkpoint, scores of CLIPS) of a recognizer whose motion features are not zero."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    if request.param == 'neck':
        cfg.model.neck = dict(type='EMIMNeck', in_channels=64)
        cfg.model.cls_head = dict(
            type='AttentiveHead', num_classes=12, in_channels=64, frame_positions=True
        )
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    for name, parameter in model.named_parameters():
        if 'motion_conv.2' in name or 'proj' in name:
            nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp('export') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    with torch.no_grad():
        data = model.data_preprocessor(dict(inputs=[x[None] for x in CLIPS], data_samples=None))
        scores = model.cls_head(model.extract_feat(data['inputs'])[0])
    assert scores.std() > 0.01
    return cfg, str(path), scores


@pytest.mark.parametrize('suffix', ['.pt2', pytest.param('.onnx', marks=pytest.mark.slow)])
def test_what_is_exported_scores_alike(trained, tmp_path, suffix):
    if suffix == '.onnx':
        for name in ('onnx', 'onnxscript', 'onnxruntime'):
            pytest.importorskip(name, reason='pip install mmaction-emim[export]')
    cfg, checkpoint, expected = trained
    model = exportable(cfg, checkpoint)
    export(model, SHAPE, tmp_path / f'model{suffix}')  # with a batch of 2
    scores = load_exported(tmp_path / f'model{suffix}')
    with torch.no_grad():
        torch.testing.assert_close(scores(CLIPS), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(scores(CLIPS[:1]), expected[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('trained', ['backbone'], indirect=True)
def test_tool(run, call, trained, tmp_path):
    cfg, checkpoint, _ = trained
    cfg.dump(tmp_path / 'cfg.py')
    shape = ['--shape', *map(str, SHAPE)]
    out = tmp_path / 'model.pt2'
    (tmp_path / 'labels.txt').write_text('\n'.join('abcdefghijkl'))
    arguments = ['tools/deployment/export.py', str(tmp_path / 'cfg.py'), checkpoint]
    shape += ['--labels', str(tmp_path / 'labels.txt')]
    done = run(*arguments, str(out), *shape)
    assert done.returncode == 0, done.stderr
    assert 'differs from PyTorch by' in done.stdout
    about = exported_metadata(out)
    assert about['input']['shape'] == [*SHAPE] and about['labels'] == [*'abcdefghijkl']
    done = call(*arguments, str(tmp_path / 'model.txt'), *shape)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith('the suffix must be .pt2 or .onnx')
    assert {path.name for path in tmp_path.iterdir()} == {'cfg.py', 'labels.txt', 'model.pt2'}
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1  # of a weight
    out.write_bytes(data)
    with pytest.raises(ValueError, match='model.pt2 is damaged: the checksum of .*weight'):
        load_exported(out)


def test_other_recognizers_are_refused(root):
    cfg = Config(dict(model=dict(type='Recognizer2D')))
    with pytest.raises(ValueError, match="must be Recognizer3D, got 'Recognizer2D'"):
        exportable(cfg)


def test_assignments_that_depend_on_the_clip_are_refused(root):
    cfg = Config.fromfile(root / 'configs' / 'emim_motionshapes.py')
    for assignment in ('greedy', 'none'):
        motion = dict(type='AlignmentGuidedTemporalAttention', assignment=assignment)
        cfg.model.neck = dict(type='MotionNeck', in_channels=64, motion=motion)
        if assignment == 'none':
            exportable(cfg)
        else:
            with pytest.raises(ValueError, match="assignment='greedy', .* accepted is 'none'"):
                exportable(cfg)
