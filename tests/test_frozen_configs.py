"""Configs of frozen encoders: what is trained on them, with colours in the encoder's place."""

import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from .configs import FOLDER, config
from .models.plain.families import need

PATHS = sorted((FOLDER / 'frozen').glob('*.py'))
ENCODERS = {path.stem[: path.stem.index('-probe')]: path for path in PATHS if '-probe' in path.stem}
VARIANTS = ('probe', 'emim', 'temporal')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmaction')


class Patches(nn.Module):
    """The shapes of an encoder's features, and as good as none of its work."""

    def __init__(self, channels, tube):
        super().__init__()
        self.kernel = (2, 16, 16) if tube else (16, 16)
        self.proj = nn.Linear(3, channels)

    def forward(self, x):
        pool = nn.functional.avg_pool3d if len(self.kernel) == 3 else nn.functional.avg_pool2d
        colours = pool(x.float(), self.kernel).to(x.dtype)
        return self.proj(colours.movedim(1, -1)).movedim(-1, 1)


def small(path):
    """A config's model with patches of colour for an encoder."""
    model = copy.deepcopy(config(path).model.to_dict())
    channels = model['cls_head']['in_channels']
    tube = model['backbone']['type'] == 'VideoEncoder'
    model['backbone'].update(encoder=dict(type=Patches, channels=channels, tube=tube))
    model['backbone']['pretrained'] = None
    return model


def test_all_are_here():
    encoders = {'dinov2-base', 'dinov3-base', 'siglip2-base', 'vjepa2-large'}
    assert set(ENCODERS) == encoders and len(PATHS) == 4 * 3 * len(VARIANTS)
    for data in ('sthv2', 'diving48', 'kinetics400'):
        for variant in VARIANTS:
            names = [path.stem for path in PATHS if f'_{data}-' in path.stem]
            assert {name.split(f'-{variant}_')[0] for name in names if f'-{variant}_' in name} == (
                encoders
            )


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_says_that_it_is_not_trained_and_counts_its_classes(path):
    assert path.read_text().splitlines()[0].endswith('Not trained here.')
    cfg = config(path)
    assert cfg.model.cls_head.num_classes == cfg.num_classes
    assert cfg.model.backbone.download is False and cfg.model.backbone.pretrained


@pytest.mark.parametrize('encoder', ENCODERS)
def test_clips_go_through_and_the_necks_are_of_one_size(encoder):
    sizes = {}
    for variant in VARIANTS:
        path = ENCODERS[encoder].with_name(ENCODERS[encoder].name.replace('probe', variant))
        model = MODELS.build(small(path))
        cfg = config(path)
        crop = next(step for step in cfg.val_pipeline if step.type == 'CenterCrop').crop_size
        view = (1, 3, cfg.clip_len, crop, crop)
        features = model.backbone(torch.zeros(view))
        if 'neck' in cfg.model:
            sizes[variant] = sum(p.numel() for p in model.neck.parameters())
            assert model.neck.out_channels == features.shape[1]
            features = model.neck(features[..., :3, :3])[0]
        assert model.cls_head(features).shape == (1, cfg.num_classes)
    assert 1 <= sizes['emim'] / sizes['temporal'] < 1.02


@pytest.mark.parametrize('encoder', ENCODERS)
def test_the_encoders_own_classes_take_the_options(encoder):
    """With the networks' own classes, of full width and one layer."""
    need('transformers')
    cfg = config(ENCODERS[encoder])
    options = dict(cfg.model.backbone, pretrained=False)
    options['encoder'] = dict(options['encoder'], num_hidden_layers=1)
    backbone = MODELS.build(options)
    assert backbone.out_channels == cfg.model.cls_head.in_channels
    size = 256 if 'vjepa' in encoder else 224
    patch = backbone.patch[0]
    out = backbone(torch.randn(1, 3, 2, size, size))
    assert out.shape[-2:] == (size // patch, size // patch) and out.isfinite().all()


@pytest.mark.slow
def test_a_probe_trains_and_its_checkpoint_needs_no_weights_of_the_encoder(
    call, motion_shapes, tmp_path
):
    network = dict(type='ResNet', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1))
    network |= dict(out_indices=(1,), pretrained=None)
    weights = tmp_path / 'encoder.pth'
    torch.save(MODELS.build(network).state_dict(), weights)
    (tmp_path / 'probe.py').write_text(
        f"""_base_ = [
    '{FOLDER}/_base_/datasets/motion_shapes.py',
    '{FOLDER}/_base_/schedules/adamw_probe_20e.py',
    '{FOLDER}/_base_/default_runtime.py',
]
data_root = {str(motion_shapes)!r}
model = dict(
    type='Recognizer3D',
    backbone=dict(type='FrameEncoder', encoder={network}, pretrained={str(weights)!r}, pool=4),
    neck=dict(type='EMIMNeck', in_channels=128, channels=32, head_dim=16, window=3, depth=2),
    cls_head=dict(
        type='AttentiveHead', num_classes=12, in_channels=32, head_dim=16, average_clips='prob'
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[114] * 3, std=[57] * 3, format_shape='NCTHW'
    ),
)
train_cfg = dict(max_epochs=1)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
"""
    )
    work = tmp_path / 'work'
    done = call('tools/train.py', str(tmp_path / 'probe.py'), '--work-dir', str(work))
    assert done.returncode == 0, done.stderr[-3000:]
    trained = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    for name, weight in torch.load(weights, weights_only=True).items():
        assert torch.equal(trained[f'backbone.network.{name}'], weight), name
    weights.unlink()
    done = call(
        'tools/test.py',
        *(str(tmp_path / 'probe.py'), str(work / 'epoch_1.pth'), '--work-dir', str(work)),
    )
    assert done.returncode == 0 and 'acc/top1' in done.stdout, done.stderr[-3000:]
    done = call('tools/train.py', str(tmp_path / 'probe.py'), '--work-dir', str(tmp_path / 'new'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: FrameEncoder: pretrained: no such file')
