"""What replace_attention learns of an attention before it takes its place."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmaction_emim.models.plain import replace_attention

GRID = 3, 2, 4
EMIM = dict(type='EMIMAttention', window=3)


class Bare(nn.Module):
    """Attention without annotations, whose parts are methods, to be others in a test."""

    def __init__(self, dim=8, heads=2, says='num_heads'):
        super().__init__()
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self._heads = heads
        if says:
            setattr(self, says, heads)

    def project(self, x):
        return [y.unflatten(-1, (self._heads, -1)).transpose(1, 2) for y in self.qkv(x).chunk(3, 2)]

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    def forward(self, x):
        return self.proj(self.attend(*self.project(x)))


class Pair(Bare):
    def forward(self, x):
        return super().forward(x), None


class Rotated(Bare):
    def forward(self, x, rope):
        return super().forward(x * rope)


class RotatedPair(Bare):
    def forward(self, x, rope) -> tuple[torch.Tensor, None]:
        return super().forward(x * rope), None


class RotatedEither(Bare):
    def forward(self, x, rope) -> torch.Tensor | tuple[torch.Tensor, None]:
        return super().forward(x * rope), None


def replaced(attention, motion=EMIM, **options):
    torch.manual_seed(0)
    model = nn.ModuleDict(dict(attention=attention))
    replace_attention(model, motion, 'attention', GRID, **options)
    return model['attention']


@pytest.mark.parametrize(
    'kind, options, is_tuple',
    [
        (Bare, {}, False),
        (Pair, {}, True),
        (RotatedPair, {}, True),
        (Rotated, dict(returns_tuple=True), True),
        (Rotated, dict(returns_tuple=False), False),
    ],
)
def test_a_tuple_stays_a_tuple(kind, options, is_tuple):
    x = torch.randn(2, 24, 8)
    out = replaced(kind(), **options)(x)
    assert isinstance(out, tuple) == is_tuple
    assert (out[0] if is_tuple else out).shape == x.shape


@pytest.mark.parametrize('kind', [Rotated, RotatedEither])
def test_what_may_be_a_tuple_is_asked(kind):
    with pytest.raises(ValueError, match='attention: nothing says .* tuple .*; say returns_tuple='):
        replaced(kind())


@pytest.mark.parametrize('says', ['num_heads', 'num_attention_heads', 'heads', 'n_heads', 'nhead'])
def test_heads_are_the_attentions(says):
    assert replaced(Bare(dim=160, heads=2, says=says)).motion.num_heads == 2


def test_heads_that_it_does_not_say_are_asked_for():
    with pytest.raises(ValueError, match='attention: it says none of .*; say motion.num_heads'):
        replaced(Bare(dim=160, heads=2, says='how_many'))
    told = replaced(Bare(dim=160, heads=2, says='how_many'), {**EMIM, 'num_heads': 2})
    assert told.motion.num_heads == 2


class Normed(Bare):
    def __init__(self):
        super().__init__()
        self.query_norm = self.key_norm = nn.LayerNorm(4)

    def project(self, x):
        q, k, v = super().project(x)
        return self.query_norm(q), self.key_norm(k), v


class NormedWithoutWeights(Normed):
    def __init__(self):
        super().__init__()
        self.query_norm = self.key_norm = nn.LayerNorm(4, elementwise_affine=False)


class Biased(Bare):
    def __init__(self):
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.randn(2, 24, 24))

    def attend(self, q, k, v):
        bias = self.relative_position_bias_table
        return F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2)


class Twice(Bare):
    def __init__(self):
        super().__init__()
        self.before = nn.ModuleDict(dict(proj=nn.Linear(8, 8)))
        self.proj = self._modules.pop('proj')  # behind, so that its name is the one that is found


class Cosine(Bare):
    def project(self, x):
        q, k, v = super().project(x)
        return F.normalize(q, dim=-1), F.normalize(k, dim=-1), v


class Causal(Bare):
    def attend(self, q, k, v):
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out.transpose(1, 2).flatten(2)


class HeadsFirst(Bare):
    def project(self, x):
        qkv = self.qkv(x).unflatten(-1, (2, 3, -1))  # q, k, v of a head, then of the next
        return qkv.permute(3, 0, 2, 1, 4)


class OtherHeads(Bare):
    def __init__(self):
        super().__init__()
        self._heads = 4


class Gated(Bare):
    def attend(self, q, k, v):
        return super().attend(q, k, v).sigmoid()


@pytest.mark.parametrize(
    'kind, message',
    [
        (Normed, 'motion modules have no query_norm, this attention has'),
        (NormedWithoutWeights, 'motion modules have no query_norm'),
        (Biased, 'motion modules have no relative_position_bias_table'),
        (Twice, 'motion modules have no before.proj.weight'),
        (Cosine, r'it does not answer softmax\(q k.* and 2 heads'),
        (Causal, 'it does not answer'),
        (HeadsFirst, 'it does not answer'),
        (OtherHeads, 'it does not answer'),
        (Gated, 'it does not answer'),
    ],
)
def test_what_would_be_lost_is_refused(kind, message):
    with pytest.raises(ValueError, match=f'^replace_attention: attention: .*{message}'):
        replaced(kind())


class Adapted(nn.Linear):
    """As layers of LoRA are, before their first step."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.lora_A = nn.Parameter(torch.randn(2, sizes[0]))
        self.lora_B = nn.Parameter(torch.zeros(sizes[1], 2))

    def forward(self, x):
        return super().forward(x) + x @ self.lora_A.mT @ self.lora_B.mT


@pytest.mark.parametrize('layer', ['qkv', 'proj'])
def test_adapters_inside_a_layer_are_not_lost(layer):
    original = Bare()
    setattr(original, layer, Adapted(8, len(getattr(original, layer).weight)))
    with pytest.raises(ValueError, match=f'motion modules have no {layer}.lora_A, this attention'):
        replaced(original)


class OwnBiases(Bare):
    """As EVA's and BEiT's, of q and v alone."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.randn(8)) for _ in range(2))

    def project(self, x):
        bias = torch.cat([self.q_bias, torch.zeros(8), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).chunk(3, 2)
        return [y.unflatten(-1, (2, -1)).transpose(1, 2) for y in qkv]


def test_biases_of_q_and_v_alone():
    original = OwnBiases()
    bias = replaced(original).motion.qkv.bias
    assert torch.equal(bias[:8], original.q_bias) and torch.equal(bias[16:], original.v_bias)
    assert not bias[8:16].any()


class Sized(Bare):
    def forward(self, x, height):
        return super().forward(x)


def test_what_it_cannot_be_called_without_is_named():
    with pytest.raises(ValueError, match='attention: it needs height, which no motion module tak'):
        replaced(Sized(), returns_tuple=False)


def test_rotary_embeddings_have_no_effect():
    module, x = replaced(Rotated(), returns_tuple=False), torch.randn(2, 24, 8)
    assert torch.equal(module(x, rope=x), module(x, None))


def encoder(**options):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, **{'batch_first': True, **options})
    for name, parameter in layer.named_parameters():
        if name.endswith('bias'):
            nn.init.normal_(parameter)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


@pytest.mark.parametrize('bias', [True, False])
def test_torchs_own_attention(bias):
    net, x = encoder(bias=bias), torch.randn(2, 24, 8)
    originals = [layer.self_attn for layer in net.layers]
    replace_attention(net, EMIM, 'layers.*.self_attn', GRID)
    for layer, original in zip(net.layers, originals, strict=True):
        module = layer.self_attn.motion
        want = F.linear(x, original.in_proj_weight, original.in_proj_bias)
        torch.testing.assert_close(module.qkv(x), want)
        torch.testing.assert_close(module.proj(x), original.out_proj(x))
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x), net.train()(x))  # no fused path around the module
    attention = net.layers[0].self_attn
    with pytest.raises(ValueError, match='takes no key, got Tensor'):
        attention(x, x + 1, x + 1)
    with pytest.raises(ValueError, match='takes no key_padding_mask'):
        net(x, src_key_padding_mask=torch.zeros(2, 24))


def test_torchs_own_attention_frame_after_frame_is_refused():
    with pytest.raises(ValueError, match=r'\(L, B, C\); build it with batch_first=True'):
        replace_attention(encoder(batch_first=False), EMIM, 'layers.*.self_attn', GRID)
