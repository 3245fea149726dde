"""FrameEncoder and VideoEncoder around networks of torch alone."""

import copy
import sys

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.models import FrameEncoder, VideoEncoder

CLIPS = (2, 3, 4, 16, 24)


class Tokens(nn.Module):
    """A transformer on patches of 8, or tubes of 2 x 8 x 8, with a class token and a register."""

    patch_size = 8
    embed_dim = 16

    def __init__(self, tube=None):
        super().__init__()
        conv = nn.Conv3d if tube else nn.Conv2d
        kernel = (tube, 8, 8) if tube else 8
        self.embed = conv(3, 16, kernel, kernel)
        self.prefix = nn.Parameter(torch.randn(2, 16))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 16, dropout=0.5, batch_first=True) for _ in range(2)
        )

    def forward(self, x):
        x = self.embed(x).flatten(2).mT
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture(autouse=True)
def seed():
    init_default_scope('mmaction')
    torch.manual_seed(0)


def clips():
    return torch.randn(CLIPS, generator=torch.Generator().manual_seed(1))


def test_frames_are_seen_one_by_one_and_prefix_tokens_dropped():
    encoder, x = FrameEncoder(Tokens), clips()
    out = encoder(x)
    assert out.shape == (2, 16, 4, 2, 3) and encoder.out_channels == 16
    with torch.no_grad():
        for n in range(2):
            for t in range(4):
                tokens = encoder.network(x[n : n + 1, :, t])[0, 2:]
                torch.testing.assert_close(out[n, :, t].flatten(1).mT, tokens)
    images = encoder(x.transpose(1, 2).flatten(0, 1))
    torch.testing.assert_close(images, out.transpose(1, 2).flatten(0, 1))


def test_tubes_of_frames_make_fewer():
    encoder, x = VideoEncoder(lambda: Tokens(tube=2)), clips()
    tokens = encoder.network(x)[:, 2:].reshape(2, 2, 2, 3, 16)
    torch.testing.assert_close(encoder(x), tokens.permute(0, 4, 1, 2, 3))
    frames_first = VideoEncoder(lambda: Swapped(encoder.network), frames_first=True)
    torch.testing.assert_close(frames_first(x), encoder(x))


def test_another_grid_does_not_make_tokens_of_places_class_tokens():
    expected = '14 tokens would be 2 and 3 x 2 x 2, which are no tubes of 4 frames; set grid and'
    with pytest.raises(ValueError, match=f'VideoEncoder: {expected}'):
        VideoEncoder(lambda: Tokens(tube=2), grid=(2, 2))(clips())


class Swapped(nn.Module):
    """The same for clips (N, T, 3, H, W), patch after patch."""

    patch_size = 8

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.transpose(1, 2))


def test_tokens_patch_after_patch():
    class ByPatch(Swapped):
        def forward(self, x):
            tokens = self.network(x)
            grid = tokens[:, 2:].unflatten(1, (2, 6)).transpose(1, 2).flatten(1, 2)
            return torch.cat([tokens[:, :2], grid], dim=1)

    encoder, x = VideoEncoder(lambda: Tokens(tube=2)), clips()
    other = VideoEncoder(ByPatch(encoder.network), order='patch')
    torch.testing.assert_close(other(x), encoder(x))


class Dict(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward_features(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    'answer, options',
    [
        (lambda x: dict(x_norm_patchtokens=x.flatten(2).mT), dict(grid=(16, 24))),
        (lambda x: dict(last_hidden_state=x), {}),
        (lambda x: dict(feature_maps=(x * 0, x)), {}),
        (lambda x: (x * 0, x), {}),
        (lambda x: torch.cat([x[:, :, 0, :1], x.flatten(2)], 2).mT, dict(grid=(16, 24), prefix=1)),
    ],
    ids=['tokens in a dict', 'map in a dict', 'last in a dict', 'last of several', 'given grid'],
)
def test_what_networks_answer(answer, options):
    x = clips()
    torch.testing.assert_close(FrameEncoder(Dict(answer), **options)(x), x)


class Needs(nn.Module):
    def forward_features(self, x, sizes, pad=None, *, masks):
        return x


def test_maps_are_averaged_to_a_grid():
    x = clips()
    want = x.unflatten(-1, (3, 8)).unflatten(-3, (2, 8)).mean((-3, -1))
    torch.testing.assert_close(FrameEncoder(nn.Identity(), pool=(2, 3))(x), want)
    assert VideoEncoder(nn.Identity(), pool=2)(x).shape == (2, 3, 4, 2, 2)


@pytest.mark.parametrize(
    'make, options, message',
    [
        (FrameEncoder, dict(encoder=5), 'must be a name, a folder, a dict .* got 5'),
        (FrameEncoder, dict(encoder=dict), 'must make an nn.Module, got dict'),
        (FrameEncoder, dict(encoder=Needs), 'Needs needs sizes, masks besides pictures'),
        (FrameEncoder, dict(dtype='half'), "dtype: got 'half'; accepted are float32"),
        (FrameEncoder, dict(grid=(0, 2)), r'grid must be \(H, W\), got \(0, 2\)'),
        (FrameEncoder, dict(pool='all'), r"pool must be \(H, W\), got 'all'"),
        (FrameEncoder, dict(pretrained=True), 'must be a file for this encoder, got True'),
        (FrameEncoder, dict(frozen=False, dtype='bfloat16'), 'is for a frozen network'),
        (FrameEncoder, dict(insert=dict(place=1)), "insert: .* argument 'place'"),
        (VideoEncoder, dict(order='image'), "order: got 'image'; accepted are 'clip', 'patch'"),
    ],
)
def test_refuses_options(make, options, message):
    with pytest.raises(ValueError, match=f'^{make.__name__}: .*{message}'):
        make(**{'encoder': Tokens, **options})


@pytest.mark.parametrize(
    'make, network, options, message',
    [
        (FrameEncoder, Tokens, dict(grid=(3, 4)), 'set grid and prefix'),
        (FrameEncoder, Tokens, dict(prefix=1), '8 tokens are not 1 and 1 x 2 x 3'),
        (FrameEncoder, Tokens, dict(out_channels=8), 'out_channels must be 16, .* got 8'),
        (FrameEncoder, lambda: Dict(lambda x: x.flatten(2).mT), {}, 'no patch_size; set grid'),
        (FrameEncoder, lambda: Dict(lambda x: x.mean((2, 3))), {}, r'got \(8, 3\)'),
        (VideoEncoder, lambda: Dict(lambda x: x[:, 0]), {}, r'got \(2, 4, 16, 24\)'),
    ],
)
def test_refuses_answers(make, network, options, message):
    with pytest.raises(ValueError, match=f'^{make.__name__}: .*{message}'):
        make(network, **options)(clips())


def test_refuses_images_where_clips_are_needed():
    with pytest.raises(ValueError, match=r'VideoEncoder: clips must be .* got \(8, 3, 16, 24\)'):
        VideoEncoder(Tokens)(clips().transpose(1, 2).flatten(0, 1))


def test_frozen_has_no_gradients_and_no_dropout():
    encoder = FrameEncoder(Tokens).train()
    assert not any(p.requires_grad for p in encoder.parameters())
    assert encoder.training and not any(m.training for m in encoder.network.modules())
    x = clips()
    assert not encoder(x).requires_grad and torch.equal(encoder(x), encoder(x))
    learning = FrameEncoder(Tokens, frozen=False).train()
    assert learning.network.blocks[0].dropout.training
    learning(x).sum().backward()
    assert all(p.grad is not None for p in learning.parameters())


def test_half_precision_answers_float32_whatever_amp_does():
    plain, half = FrameEncoder(Tokens), FrameEncoder(Tokens, dtype='bfloat16')
    half.load_state_dict(plain.state_dict())
    assert half.network.prefix.dtype == torch.bfloat16
    x = clips()
    out = half(x)
    assert out.dtype == torch.float32 and 1e-4 < (out - plain(x)).abs().max() < 0.1
    with torch.autocast('cpu', torch.float16):
        assert torch.equal(half(x), out)


def test_a_module_in_half_precision_becomes_float32():
    given = Tokens().bfloat16()
    for options in (dict(), dict(frozen=False), dict(insert=INSERT)):
        encoder = FrameEncoder(copy.deepcopy(given), **options)
        assert {p.dtype for p in encoder.parameters()} == {torch.float32}
        assert encoder(clips()).dtype == torch.float32


INSERT = dict(
    motion=dict(type='EMIMAttention', window=3, dim=16, num_heads=2), where='blocks.*',
    grid=(4, 2, 3), prefix=2,
)  # fmt: skip


def test_motion_in_a_frozen_network_is_all_that_learns():
    plain, x = FrameEncoder(Tokens), clips()
    encoder = FrameEncoder(copy.deepcopy(plain.network), insert=INSERT)
    torch.testing.assert_close(encoder(x), plain(x))
    assert plain.is_framewise and not encoder.is_framewise
    encoder.train()(x).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad == ('.motion.' in name)
    modes = {m.training for m in encoder.network.blocks[0].motion.modules()}
    assert modes == {True} and not encoder.network.blocks[0].dropout.training
    with pytest.raises(ValueError, match='for a frozen network without motion modules'):
        FrameEncoder(Tokens, insert=INSERT, dtype='bfloat16')


@pytest.mark.parametrize(
    'shape, grid',
    [
        ((2, 3, 2, 16, 24), r'\(2, 2, 3\)'),  # two clips, as many images as one has
        ((1, 3, 8, 16, 24), r'\(8, 2, 3\)'),
        ((1, 3, 4, 24, 16), r'\(4, 3, 2\)'),
    ],
    ids=['joined', 'cut', 'turned'],
)
def test_clips_that_motion_inside_would_take_for_others_are_refused(shape, grid):
    encoder = FrameEncoder(Tokens, insert=INSERT)
    expected = rf'^FrameEncoder: .*blocks.0: grid must be \(T, H, W\)={grid} .* got \(4, 2, 3\)'
    with pytest.raises(ValueError, match=expected):
        encoder(torch.randn(shape))
    assert encoder(clips()[:1]).shape == (1, 16, 4, 2, 3)


def test_motion_in_a_video_network_on_clips_of_another_grid():
    encoder = VideoEncoder(lambda: Tokens(tube=2), insert={**INSERT, 'grid': (2, 2, 3)})
    assert encoder(clips()).shape == (2, 16, 2, 2, 3)
    with pytest.raises(
        ValueError, match=r'grid must be \(T, H, W\)=\(3, 2, 2\) .* got \(2, 2, 3\)'
    ):
        encoder(torch.randn(1, 3, 6, 16, 16))


def test_weights_come_from_a_file_or_a_checkpoint(tmp_path):
    file, x = tmp_path / 'weights.pth', clips()
    plain = FrameEncoder(Tokens)
    torch.save(dict(state_dict=plain.network.state_dict()), file)
    for insert in (None, INSERT):
        encoder = FrameEncoder(Tokens, pretrained=str(file), insert=insert)
        with pytest.raises(RuntimeError, match='not loaded yet; call init_weights'):
            encoder(x)
        encoder.init_weights()
        torch.testing.assert_close(encoder(x), plain(x))
    file.unlink()
    later = nn.Sequential(FrameEncoder(Tokens, pretrained=str(file)))
    later.load_state_dict({f'0.{k}': v for k, v in plain.state_dict().items()})
    assert torch.equal(later(x), plain(x))
    with pytest.raises(FileNotFoundError, match='FrameEncoder: pretrained: no such file'):
        later[0].init_weights()


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda w: {k: v for k, v in w.items() if k != 'prefix'}, '1 weights of Tokens .* prefix'),
        (lambda w: {**w, 'prefix': torch.zeros(3, 16)}, 'size mismatch for prefix'),
        (lambda w: {'x': Tokens}, 'not a checkpoint of weights'),
    ],
    ids=['missing', 'shape', 'code'],
)
def test_refuses_other_weights(tmp_path, change, message):
    file = tmp_path / 'weights.pth'
    torch.save(change(Tokens().state_dict()), file)
    with pytest.raises(ValueError, match=message):
        FrameEncoder(Tokens, pretrained=str(file)).init_weights()


@pytest.mark.parametrize(
    'encoder, name',
    [
        ('resnet18.a1_in1k', 'timm'),
        (dict(type='timm.resnet18'), 'timm'),
        ('facebook/dinov2-base', 'transformers'),
        (dict(type='transformers.Dinov2Model'), 'transformers'),
    ],
    ids=str,
)
def test_a_missing_library_is_one_sentence(monkeypatch, encoder, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f'^FrameEncoder: the encoder needs {name}, .*install'):
        FrameEncoder(encoder)


def test_torchvision_of_another_build_is_one_sentence(monkeypatch, tmp_path):
    error = 'operator torchvision::nms does not exist'  # torchvision's own, without its libraries
    (tmp_path / 'torchvision.py').write_text(f'raise RuntimeError({error!r})\n')
    (tmp_path / 'timm.py').write_text('import torchvision\n')
    for name in ('torchvision', 'timm'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    message = rf'^FrameEncoder: the encoder needs timm, .*\({error}\); .* take both from one index$'
    with pytest.raises(ImportError, match=message):
        FrameEncoder(dict(type='timm.resnet18'))


def test_in_a_recognizer_the_rest_learns_and_the_table_shows_what_is_frozen(log):
    from mmengine.optim import build_optim_wrapper

    from mmaction_emim.engine import param_groups  # noqa: F401 (registers the constructor)

    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='FrameEncoder', encoder=dict(type=Tokens)),
            neck=dict(type='EMIMNeck', in_channels=16, head_dim=8, window=3),
            cls_head=dict(type='AttentiveHead', num_classes=3, in_channels=16, head_dim=8),
        )
    )
    model.init_weights()
    before = copy.deepcopy(model.state_dict())
    constructor = 'LayerDecayOptimWrapperConstructor'
    wrapper = build_optim_wrapper(
        model, dict(constructor=constructor, optimizer=dict(type='SGD', lr=0.1))
    )
    assert any('frozen at random weights' in line for line in log)
    (table,) = [line for line in log if 'Parameter groups' in line]
    (row,) = [line for line in table.splitlines() if line.startswith('frozen')]
    assert 'backbone.network.' in row
    model.train()
    labels = [ActionDataSample().set_gt_label(i) for i in range(2)]
    losses = model.loss(clips()[:, None], labels)
    wrapper.update_params(losses['loss_cls'])
    moved = {
        k.split('.')[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert moved == {'neck', 'cls_head'}
