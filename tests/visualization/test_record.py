import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mmaction_emim.models.motion import (
    AlignmentGuidedTemporalAttention,
    EMIMAttention,
    MotionAwareAttention,
)
from mmaction_emim.visualization import (
    motion_layers,
    record_affinities,
    record_attention,
    record_motion_fields,
    record_tracks,
)

C = 32
VIT = dict(
    type='VisionTransformer', img_size=32, patch_size=8, embed_dims=C, depth=2, num_heads=2,
    num_frames=8,
)  # fmt: skip


class Plain(nn.Module):
    """Tokens of all frames in one sequence, as networks that know nothing of MMAction2 have."""

    def __init__(self, **options):
        super().__init__()
        self.attn = EMIMAttention(C, 2, window=3, **options)

    def forward(self, x):
        return x + self.attn(x)


@pytest.fixture
def tokens():
    torch.manual_seed(0)
    return torch.randn(2, 3, 4, 5, C)


def test_plain_torch_network(tokens):
    network = Plain()
    expected = network(tokens)
    with record_motion_fields(network, head=1) as fields:
        out = network(tokens)
    assert torch.equal(out, expected)
    want = network.attn.motion_field(tokens, head=1)
    assert list(fields) == ['attn']
    torch.testing.assert_close(fields['attn'], want)
    assert not fields['attn'].displacement.requires_grad
    network(tokens)
    assert len(fields['attn'].displacement) == 2  # the hook is gone


def test_batches_of_several_calls_are_joined(tokens):
    network = Plain()
    with record_affinities(network) as affinities:
        for one in tokens:
            network(one[None])
    torch.testing.assert_close(affinities['attn'], network.attn.affinity(tokens).detach())


@pytest.mark.parametrize('backend', ['reference', 'dense'])
def test_half_precision_by_autocast(tokens, backend):
    network = Plain(backend=backend)
    with record_motion_fields(network) as fields, torch.autocast('cpu', torch.bfloat16):
        network(tokens)
    field = fields['attn']
    assert field.displacement.dtype == field.confidence.dtype == torch.float32
    want = network.attn.motion_field(tokens).displacement
    torch.testing.assert_close(field.displacement, want, atol=0.05, rtol=0)


def test_a_compiled_network_is_read_too(tokens):
    network = Plain()
    network.compile(backend='eager')
    network(tokens)
    with record_motion_fields(network) as fields:
        network(tokens)
    assert list(fields) == ['attn']


@pytest.mark.parametrize('mode', ['replace', 'insert'])
def test_other_layouts_of_tokens(mode):
    """VideoMAE's ViT hands its attention (B, T*H*W, C): what is recorded is (B, T, H, W)."""
    init_default_scope('mmaction')
    motion = dict(type='EMIMAttention', window=3)
    network = MODELS.build(dict(type='MotionBackbone', backbone=VIT, motion=motion, mode=mode))
    with record_motion_fields(network.eval()) as fields, torch.no_grad():
        network(torch.randn(2, 3, 8, 32, 48))
    layer = {'replace': 'blocks.0.attn', 'insert': 'blocks.0.motion.module'}[mode]
    assert list(fields) == [layer]
    assert fields[layer].displacement.shape == (2, 3, 4, 6, 2)


def test_neck_and_checkpointed_blocks():
    init_default_scope('mmaction')
    backbone = MODELS.build(
        dict(type='EMIMUniFormer', arch='tiny', spatial_stride=2, with_cp=[3], alternation='L')
    )
    neck = MODELS.build(dict(type='EMIMNeck', in_channels=64, head_dim=32, window=3))
    network = nn.Sequential(backbone, neck)
    with record_motion_fields(network) as fields:
        network.train()(torch.randn(1, 3, 4, 64, 48))
    assert list(fields) == ['0.blocks3.0.attn', '0.blocks3.1.attn', '1.attn']
    assert [x.displacement.shape[:4] for x in fields.values()] == [
        (1, 3, 8, 6), (1, 3, 8, 6), (1, 3, 4, 3),
    ]  # fmt: skip


def test_attention_of_m2a_and_tracks_of_ata(tokens):
    network = nn.Sequential(MotionAwareAttention(C), AlignmentGuidedTemporalAttention(C))
    with record_attention(network) as attention, record_tracks(network, layer='1') as tracks:
        network(tokens)
    torch.testing.assert_close(attention['0'], network[0].attention(tokens).detach())
    assert tracks['1'].shape == (2, 3, 4, 5, 2)
    column, row = tracks['1'][0, 0].unbind(-1)  # the first frame's tokens are where they are
    assert column[2].tolist() == [0, 1, 2, 3, 4] and row[:, 1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    'network, options, sentence',
    [
        (nn.Linear(2, 2), {}, 'Linear: none of its layers is EMIMAttention'),
        (Plain(), dict(layer='x'), "layer: got 'x'; EMIMAttention layers are attn"),
    ],
)
def test_refuses(network, options, sentence):
    with pytest.raises(ValueError, match=sentence), record_motion_fields(network, **options):
        pass


def test_names_of_layers():
    assert motion_layers(nn.Sequential(Plain(), nn.ReLU(), Plain())) == ['0.attn', '2.attn']
