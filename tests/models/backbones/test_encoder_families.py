"""FrameEncoder and VideoEncoder around networks of timm and transformers; nothing is downloaded."""

import json
import os
import subprocess
import sys

import pytest
import torch
from mmengine.registry import init_default_scope

from mmaction_emim.models import FrameEncoder, VideoEncoder

from ..plain.families import FAMILIES, GRID, SIZES, build, need

T, H, W = GRID
DINO = dict(type='transformers.Dinov2Model', **SIZES, image_size=16, patch_size=8, mlp_ratio=2)
del DINO['intermediate_size']
TIMM = dict(type='timm.vit_tiny_patch16_224', img_size=16, patch_size=8, depth=2, embed_dim=48)


@pytest.fixture(autouse=True)
def seed(monkeypatch, tmp_path):
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hub'))  # an empty cache
    init_default_scope('mmaction')
    torch.manual_seed(0)


def encoder_of(name, **options):
    """A family's encoder, its clips (N, 3, T, H, W), and the tokens that the network gives."""
    model, tokens = build(name)
    family = FAMILIES[name]
    shape = family.inputs[1]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))  # what tokens() is of
    is_video = len(shape) == 5
    x = x if is_video else x.unflatten(0, (2, T))
    encoder = (VideoEncoder if is_video else FrameEncoder)(model, **options)
    return encoder, x.transpose(1, 2), tokens


@pytest.mark.parametrize('name', FAMILIES)
def test_the_map_is_the_tokens_without_those_before_the_grid(name):
    encoder, x, tokens = encoder_of(name)
    family = FAMILIES[name]
    with torch.no_grad():
        want = tokens(encoder.network)[:, family.prefix[0] :]
    if family.order[0] == 'patch':
        want = want.unflatten(1, (H * W, T)).transpose(1, 2)
    torch.testing.assert_close(encoder(x), want.reshape(2, T, H, W, 32).permute(0, 4, 1, 2, 3))
    assert encoder.out_channels == 32


@pytest.mark.parametrize('name', FAMILIES)
def test_motion_is_inserted_into_it(name):
    plain, x, _ = encoder_of(name)
    family = FAMILIES[name]
    insert = dict(motion=dict(type='EMIMAttention', window=3), where=family.layers[0], grid=GRID)
    encoder, _, _ = encoder_of(name, insert=insert, prefix=family.prefix[0])
    assert torch.equal(encoder(x), plain(x))
    encoder(x).square().mean().backward()
    learned = {n for n, p in encoder.named_parameters() if p.grad is not None}
    assert learned == {n for n, _ in encoder.named_parameters() if '.motion.' in n}


@pytest.mark.parametrize('cfg', [DINO, TIMM], ids=lambda cfg: cfg['type'])
def test_a_folder_and_its_weights(cfg, tmp_path):
    library = need(cfg['type'].split('.')[0])
    source, x = FrameEncoder(cfg), torch.randn(1, 3, 2, 16, 16)
    if 'timm' in cfg['type']:
        options = dict(img_size=16, patch_size=8, depth=2, embed_dim=48)
        for safe in (False, True):
            library.models.save_for_hf(
                source.network,
                tmp_path / ('network' if safe else 'pickled'),
                model_args=options,
                safe_serialization=safe,
            )
        pickled = FrameEncoder(str(tmp_path / 'pickled'))
        pickled.init_weights()
        torch.testing.assert_close(pickled(x), source(x))
    else:
        source.network.save_pretrained(tmp_path / 'network')
    encoder = FrameEncoder(str(tmp_path / 'network'))
    with pytest.raises(RuntimeError, match='not loaded yet'):
        encoder(x)
    encoder.init_weights()
    torch.testing.assert_close(encoder(x), source(x))
    weights = tmp_path / 'network'
    if 'timm' in cfg['type']:
        weights = weights / 'model.safetensors'
    again = FrameEncoder(cfg, pretrained=str(weights))
    again.init_weights()
    torch.testing.assert_close(again(x), source(x))


@pytest.mark.parametrize('frozen', [True, False])
def test_a_folder_in_half_precision_becomes_float32(frozen, tmp_path):
    need('transformers')
    source, x = FrameEncoder(DINO), torch.randn(1, 3, 2, 16, 16)
    source.network.bfloat16().save_pretrained(tmp_path)
    encoder = FrameEncoder(str(tmp_path), frozen=frozen)
    encoder.init_weights()
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    torch.testing.assert_close(encoder(x), FrameEncoder(source.network)(x))


def test_the_half_that_sees_of_a_network_of_two(tmp_path):
    transformers = need('transformers')
    config = transformers.SiglipConfig(
        vision_config=dict(**SIZES, image_size=16, patch_size=8), text_config=SIZES
    )
    both = transformers.SiglipModel(config).eval()
    both.save_pretrained(tmp_path)
    encoder = FrameEncoder(str(tmp_path))
    encoder.init_weights()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        want = both.vision_model(x).last_hidden_state
    torch.testing.assert_close(encoder(x).flatten(2).mT, want)


def test_v_jepa_2_without_its_predictor(tmp_path):
    need('transformers')
    encoder, x, _ = encoder_of('V-JEPA 2')
    full, _ = build('V-JEPA 2')
    full.save_pretrained(tmp_path)
    loaded = VideoEncoder(str(tmp_path))
    loaded.init_weights()
    torch.testing.assert_close(loaded(x), encoder(x))
    left, all_of_it = ({*e.state_dict()} for e in (loaded, encoder))
    assert {name.split('.')[1] for name in all_of_it - left} == {'predictor'}


@pytest.mark.parametrize('size', [(16, 16), (32, 24)], ids=str)
@pytest.mark.parametrize('name', ['DINOv2', 'DINOv3', 'SigLIP'])
def test_pictures_of_other_sizes(name, size):
    encoder, _, _ = encoder_of(name)
    out = encoder(torch.randn(1, 3, 2, *size))
    assert out.shape == (1, 32, 2, size[0] // 8, size[1] // 8) and out.isfinite().all()


@pytest.mark.parametrize(
    'name, shape, message',
    [
        ('VideoMAE', (1, 3, 4, 16, 16), 'VideoMAEModel on .* size of tensor'),
        ('VideoMAE', (1, 3, 6, 32, 16), "VideoMAEModel on .* doesn't match"),
        ('TimeSformer', (1, 3, 2, 16, 16), 'TimesformerModel on '),
        ('timm ViT', (1, 3, 2, 32, 32), 'VisionTransformer on .* match'),
    ],
)
def test_a_clip_that_does_not_fit_is_named(name, shape, message):
    encoder, _, _ = encoder_of(name)
    with pytest.raises(ValueError, match=f'Encoder: {message}'):
        encoder(torch.randn(shape))


@pytest.mark.parametrize(
    'library, encoder, message',
    [
        ('transformers', 'facebook/dinov2-base', 'is not on this computer; .* download=True'),
        ('transformers', dict(type='transformers.Nothing'), "transformers has no model 'Nothing'"),
        ('transformers', {**DINO, 'depth': 3}, 'Dinov2Config has no depth'),
        (
            'transformers',
            dict(type='transformers.ViTMAEModel', **SIZES, mask_ratio=0.0),
            'ViTMAEModel shuffles its tokens',
        ),
        (
            'transformers',
            dict(type='transformers.Siglip2VisionModel', **SIZES),
            'needs pixel_attention_mask, spatial_shapes besides pictures',
        ),
        (
            'transformers',
            dict(type='transformers.BertModel', **SIZES),
            'BertModel takes input_ids, and an encoder pixel_values',
        ),
        ('timm', 'resnet18.a1_in1k', 'resnet18.a1_in1k is not on this computer; .* download=True'),
        ('timm', 'nothing', 'encoder: nothing: '),
        ('timm', {**TIMM, 'layers': 3}, 'encoder: vit_tiny_patch16_224: .*layers'),
    ],
    ids=str,
)
def test_what_is_not_there_is_one_sentence(library, encoder, message):
    need(library)
    with pytest.raises((OSError, ValueError), match=f'^FrameEncoder: .*{message}') as info:
        FrameEncoder(encoder).init_weights()
    assert '\n' not in str(info.value)


WITHOUT_TORCHVISION = """
import sys
from mmaction_emim.models import FrameEncoder

for encoder in (dict(type='transformers.Dinov2Model'), sys.argv[1]):
    try:
        FrameEncoder(encoder)
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
def test_transformers_beside_torchvision_of_another_build(tmp_path):
    need('transformers')
    error = 'operator torchvision::nms does not exist'  # torchvision's own, without its libraries
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision' / '__init__.py').write_text(f'raise RuntimeError({error!r})\n')
    (tmp_path / 'config.json').write_text(json.dumps(dict(model_type='dinov2')))
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_TORCHVISION, tmp_path],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    sentence = (
        f'FrameEncoder: the encoder needs transformers, which cannot be imported ({error}); torch '
        'and torchvision are of different builds: take both from one index\n'
    )
    assert done.stdout.endswith(2 * sentence)


def test_folders_that_are_none(tmp_path):
    need('transformers')
    with pytest.raises(ValueError, match='no config.json in the folder'):
        FrameEncoder(str(tmp_path))
    (tmp_path / 'config.json').write_text(json.dumps(dict(model_type='nothing')))
    with pytest.raises(ValueError, match='FrameEncoder: .*nothing'):
        FrameEncoder(str(tmp_path))
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(ValueError, match='FrameEncoder: .*config.json'):
        FrameEncoder(str(tmp_path))


def test_weights_of_another_network_are_refused(tmp_path):
    need('transformers')
    FrameEncoder(DINO).network.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='pretrained: .* has no '):
        FrameEncoder({**DINO, 'num_hidden_layers': 3}, pretrained=str(tmp_path)).init_weights()
    with pytest.raises(ValueError, match='FrameEncoder: '):
        FrameEncoder({**DINO, 'hidden_size': 64}, pretrained=str(tmp_path)).init_weights()


@pytest.mark.parametrize('name, T', [('swin_tiny_patch4_window7_224', 1), ('resnet18', 2)])
def test_timms_maps(name, T):
    need('timm')
    encoder = FrameEncoder(dict(type=f'timm.{name}'))
    images = torch.randn(T, 3, 224, 224)
    out = encoder(images)
    with torch.no_grad():
        want = encoder.network.forward_head(encoder.network.forward_features(images))
    assert out.shape == (T, encoder.out_channels, 7, 7)
    torch.testing.assert_close(out.mean((2, 3)), want, rtol=1e-4, atol=1e-5)
