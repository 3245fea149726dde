import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope
from scipy.special import erf

from mmaction_emim.models import AttentiveHead
from mmaction_emim.models.heads.attentive_head import frame_positions


def head(**options):
    torch.manual_seed(0)
    made = AttentiveHead(**{**dict(num_classes=5, in_channels=8, head_dim=4), **options})
    with torch.no_grad():  # norms and biases that a formula could leave out
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return made.eval()


def norm(x, weight, bias):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * weight + bias


def block(p, tokens, queries=None):
    """One clip's tokens (L, 8), two heads of 4, in float64."""
    keys = norm(tokens, p['norm1.weight'], p['norm1.bias'])
    x, q = (tokens, keys) if queries is None else (queries, queries)
    out = np.zeros_like(x)
    for head in (slice(0, 4), slice(4, 8)):
        rows = [p['attn.in_proj_weight'][i * 8 : i * 8 + 8][head] for i in range(3)]
        bias = [p['attn.in_proj_bias'][i * 8 : i * 8 + 8][head] for i in range(3)]
        Q, K, V = (y @ w.T + b for y, w, b in zip((q, keys, keys), rows, bias, strict=True))
        weight = np.exp(Q @ K.T / 2)
        out[:, head] = weight / weight.sum(-1, keepdims=True) @ V
    x = x + out @ p['attn.out_proj.weight'].T + p['attn.out_proj.bias']
    hidden = norm(x, p['norm2.weight'], p['norm2.bias']) @ p['mlp.0.weight'].T + p['mlp.0.bias']
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    return x + hidden @ p['mlp.2.weight'].T + p['mlp.2.bias']


@pytest.mark.parametrize('depth, queries', [(1, 1), (3, 2)])
def test_scores_are_the_formulas(depth, queries):
    model = head(depth=depth, num_queries=queries, mlp_ratio=2)
    x = torch.randn(2, 8, 3, 2, 2)
    weights = {k: v.double().numpy() for k, v in model.state_dict().items()}
    of_block = [
        {k.removeprefix(f'blocks.{i}.'): v for k, v in weights.items() if f'blocks.{i}.' in k}
        for i in range(depth)
    ]
    for clip, scores in zip(x.double().numpy(), model(x), strict=True):
        tokens = clip.reshape(8, -1).T
        for p in of_block[:-1]:
            tokens = block(p, tokens)
        pooled = block(of_block[-1], tokens, weights['queries']).mean(0)
        want = weights['fc_cls.weight'] @ pooled + weights['fc_cls.bias']
        np.testing.assert_allclose(scores.detach().numpy(), want, rtol=1e-4, atol=1e-5)


def test_deeper_blocks_add_less_at_first():
    torch.manual_seed(0)
    made = AttentiveHead(num_classes=2, in_channels=128, depth=3)
    made.init_weights()
    for n, block in enumerate(made.blocks, start=1):
        for layer in (block.attn.out_proj, block.mlp[2]):
            assert layer.weight.std().item() == pytest.approx(0.02 / (2 * n) ** 0.5, rel=0.05)
        assert block.mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_only_positions_tell_the_order_of_frames():
    x = torch.randn(2, 8, 4, 2, 3)
    plain, placed = head(), head(frame_positions=True)
    torch.testing.assert_close(plain(x.flip(2)), plain(x))
    assert (placed(x.flip(2)) - placed(x)).abs().max() > 1e-2
    n, i = 3, 1
    want = np.sin(n / 10000 ** (2 * i / 8)), np.cos(n / 10000 ** (2 * i / 8))
    got = frame_positions(4, 8)[n]
    np.testing.assert_allclose((got[i], got[i + 4]), want, rtol=1e-5)


def recognizer(kind, **options):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    cfg = dict(type='AttentiveHead', num_classes=5, in_channels=64, head_dim=16, **options)
    network = torch.nn.Conv2d(3, 64, 16, 16)
    backbone = dict(type='FrameEncoder', encoder=network, frozen=False)
    return MODELS.build(dict(type=kind, backbone=backbone, cls_head=cfg))


def samples(labels):
    return [ActionDataSample().set_gt_label(label) for label in labels]


def test_loss_and_predictions_are_base_heads():
    model = recognizer('Recognizer3D', label_smooth_eps=0.1, average_clips='prob')
    clips = torch.randn(2, 2, 3, 4, 32, 32)
    losses = model.loss(clips[:, :1], samples([1, 3]))
    losses['loss_cls'].backward()
    assert losses.keys() == {'top1_acc', 'loss_cls'}  # five classes have no top-5
    scores = model(clips[:, :1].detach(), stage='head')
    log = scores.log_softmax(1)
    target = torch.eye(5)[[1, 3]] * 0.9 + 0.02
    torch.testing.assert_close(losses['loss_cls'], -(target * log).sum(1).mean())
    assert all(p.grad is not None and p.grad.any() for p in model.cls_head.parameters())
    model.eval()
    both = model.predict(clips, samples([0, 0]))
    views = model(clips, stage='head').softmax(1).unflatten(0, (2, 2)).mean(1)
    torch.testing.assert_close(torch.stack([s.pred_score for s in both]), views)


def test_2d_recognizers_give_the_scores_of_3d_ones():
    three, two = recognizer('Recognizer3D').eval(), recognizer('Recognizer2D').eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    want = three(clips[:, None], stage='head')
    frames = clips.transpose(1, 2).contiguous()
    torch.testing.assert_close(two(frames, stage='head'), want)
    two.cls_head.num_segments = 4  # two views of a clip, in a row
    got = two(frames.flatten(0, 1)[None], stage='head')
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(head_dim=3), 'head_dim must divide in_channels=8, got 3; in_channels must be the'),
        (dict(depth=0), 'depth must be 1 or more, got 0'),
        (dict(num_queries=0), 'num_queries must be 1 or more, got 0'),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(ValueError, match=message):
        head(**options)


@pytest.mark.parametrize('shape', [(2, 7, 3, 2, 2), (2, 8), (5, 8, 2, 2)], ids=str)
def test_refuses_other_features(shape):
    with pytest.raises(ValueError, match=r'features must be \(N, 8, T, H, W\), got'):
        head()(torch.zeros(shape), num_segs=2)
