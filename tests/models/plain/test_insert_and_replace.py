"""insert_motion, replace_attention and what they are made of, in plain torch."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmaction_emim.models.motion import EMIMAttention, StructuralSelfAttention
from mmaction_emim.models.plain import (
    TokenGrid,
    insert_motion,
    interpolate_window,
    replace_attention,
)

GRID = 3, 2, 4
EMIM = dict(type='EMIMAttention', window=3)


class Attention(nn.Module):
    """Separate or fused layers, as most libraries have them."""

    def __init__(self, dim, num_heads, kind):
        super().__init__()
        self.num_heads, self.kind = num_heads, kind
        self.scale = (dim // num_heads) ** -0.5
        if kind == 'fused':
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        else:
            self.q_proj = nn.Linear(dim, dim)
            self.k_proj = nn.Linear(dim, dim, bias=False)  # as DINOv3 and VideoMAE
            self.v_proj = nn.Linear(dim, dim)
            self.o_proj = nn.Linear(dim, dim)

    def forward(
        self, hidden_states, attention_mask=None, output_attentions=False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.kind == 'fused':
            q, k, v = self.qkv(hidden_states).chunk(3, dim=-1)
        else:
            q, k, v = (f(hidden_states) for f in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attention_mask).transpose(1, 2).flatten(2)
        return (self.proj if self.kind == 'fused' else self.o_proj)(out), None


class Layer(nn.Module):
    def __init__(self, dim, num_heads, kind):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads, kind)

    def forward(self, hidden_states, **kwargs):
        return hidden_states + self.attention(self.norm(hidden_states), **kwargs)[0]


class Net(nn.Module):
    def __init__(self, kind='fused', dim=8, num_heads=2):
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, num_heads, kind) for _ in range(2))

    def forward(self, x, **kwargs):
        for layer in self.layers:
            x = layer(hidden_states=x, **kwargs)
        return x


@pytest.fixture(params=['fused', 'separate'])
def net(request):
    torch.manual_seed(0)
    return Net(request.param).eval()


@pytest.mark.parametrize('order, shape, place', [
    ('clip', (2, 5 + 24, 8), lambda b, t, y, x: (b, 5 + t * 8 + y * 4 + x)),
    ('image', (6, 5 + 8, 8), lambda b, t, y, x: (b * 3 + t, 5 + y * 4 + x)),
    ('patch', (2, 5 + 24, 8), lambda b, t, y, x: (b, 5 + (y * 4 + x) * 3 + t)),
    ('track', (16, 3, 8), lambda b, t, y, x: (b * 8 + y * 4 + x, t)),
])  # fmt: skip
def test_orders(order, shape, place):
    layout = TokenGrid(GRID, order, 0 if order == 'track' else 5)
    x = torch.randn(shape)
    tokens, prefix = layout.split(x)
    assert tokens.shape == (2, *GRID, 8) and torch.equal(prefix, x[:, : layout.prefix])
    for at in np.ndindex(2, *GRID):
        assert torch.equal(tokens[at], x[place(*at)])
    assert torch.equal(layout.merge(tokens, prefix), x)
    none = x[:0]
    assert layout.merge(*layout.split(none)).shape == none.shape


def test_inserted_nothing_changes_and_names_stay(net):
    x = torch.randn(2, 1 + 24, 8)
    before, names = net(x), set(net.state_dict())
    report = insert_motion(net, EMIM, 'layers.*', GRID, prefix=1)
    assert torch.equal(net(x), before) and names < set(net.state_dict())
    assert [row[:2] for row in report.rows] == [(f'layers.{i}', 'EMIMAttention') for i in range(2)]
    added = sum(p.numel() for name, p in net.named_parameters() if name not in names)
    assert str(report).splitlines()[-1].split() == [
        '2', 'layers', f'{added:+,}', '(of', f'{report.total:,})'
    ]  # fmt: skip
    nn.init.normal_(net.layers[0].motion.module.proj.weight)
    assert not torch.equal(net(x)[:, 1:], before[:, 1:])


class Called(nn.Module):
    """Calls a layer, and this its attention, by name."""

    def __init__(self):
        super().__init__()
        self.layer = Named()

    def forward(self, x):
        return self.layer(tokens=x)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), Attention(8, 2, 'fused')

    def forward(self, tokens):
        return tokens + self.attention(hidden_states=self.norm(tokens))[0]


def test_layers_called_by_name():
    x, net = torch.randn(2, 24, 8), Called()
    plain = net(x)
    insert_motion(net, EMIM, 'layer', GRID)
    assert torch.equal(net(x), plain)
    nn.init.normal_(net.layer.motion.module.proj.weight)
    assert not torch.equal(net(x), plain)
    with pytest.raises(ValueError, match='layer: tokens are its first argument, or tokens or hidd'):
        net.layer(x=x)
    replace_attention(net, EMIM, 'layer.attention', GRID)
    assert net(x).shape == x.shape
    with pytest.raises(ValueError, match='layer.attention: called without hidden_states, its tok'):
        net.layer.attention()


@pytest.mark.parametrize('prefix', [0, 5])
def test_a_replacement_has_the_attentions_weights(net, prefix):
    """StructSA whose neighbourhoods are the place itself is plain attention over the grid."""
    x, plain = torch.randn(2, prefix + 24, 8), copy.deepcopy(net)
    struct_sa = dict(type='StructuralSelfAttention')
    report = replace_attention(net, struct_sa, 'layers.*.attention', GRID, prefix=prefix)
    assert [row[0] for row in report.rows] == ['layers.0.attention', 'layers.1.attention']
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, StructuralSelfAttention):
                for kernels in (module.key_patterns, module.value_kernels):
                    kernels.zero_()[:, :, 1, 1, 1] = 1
        ours, theirs = (each.layers[0].attention(x)[0] for each in (net, plain))
        alone = plain.layers[0].attention(x[:, prefix:])[0]
    torch.testing.assert_close(ours[:, :prefix], theirs[:, :prefix])  # they see all tokens
    torch.testing.assert_close(ours[:, prefix:], alone)


def test_what_comes_with_the_tokens_is_taken_or_refused_in_words(net):
    replace_attention(net, EMIM, 'layers.*.attention', GRID)
    x = torch.randn(2, 24, 8)
    out, weights = net.layers[0].attention(x, None, output_attentions=False)
    assert out.shape == x.shape and weights is None
    for argument, value in (
        ('attention_mask', torch.ones(24, 24)), ('output_attentions', True), ('head_mask', [1])
    ):  # fmt: skip
        with pytest.raises(
            ValueError, match=rf'layers.0.attention: EMIMAttention takes no {argument}'
        ):
            net.layers[0].attention(x, **{argument: value})
    with pytest.raises(ValueError, match='takes no attention_mask'):
        net.layers[0].attention(x, torch.ones(24, 24))
    net.layers[0].attention(x, position_embeddings=(x, x), output_hidden_states=True)
    with pytest.raises(ValueError, match=r'layers.0.*tokens must be .*0 \+ 24.*got \(2, 25, 8\)'):
        net.layers[0].attention(torch.randn(2, 25, 8))


@pytest.mark.parametrize('change, message', [
    (dict(motion='EMIMAttention'), 'motion must be a dict with a type'),
    (dict(motion=dict(type='EMIM')), "type: got 'EMIM'; accepted are a class and .*EMIMAttention"),
    (dict(motion=dict(type='EMIMAttention', windows=3)), 'EMIMAttention: .*windows'),
    (dict(where='blocks.*'), r"where='blocks.\*' matches no layer of Net; there are layers"),
    (dict(grid=(2, 4)), r'grid must be \(T, H, W\), got \(2, 4\)'),
    (dict(order='frames'), "order: got 'frames'; accepted are"),
    (dict(prefix=-1), 'prefix must be 0 or more'),
])  # fmt: skip
@pytest.mark.parametrize('put', [insert_motion, replace_attention])
def test_refusals(net, put, change, message):
    where = 'layers.*' if put is insert_motion else 'layers.*.attention'
    names = set(net.state_dict())
    with pytest.raises(ValueError, match=message):
        put(net, **{**dict(motion=EMIM, where=where, grid=GRID), **change})
    assert set(net.state_dict()) == names


def test_what_cannot_replace_is_refused(net):
    where = 'layers.*.attention'
    with pytest.raises(ValueError, match='includes its input.*use insert_motion'):
        replace_attention(net, dict(type='MotionAwareAttention'), where, GRID)
    with pytest.raises(ValueError, match="over time only.*order='clip' also over space"):
        replace_attention(net, dict(type='AlignmentGuidedTemporalAttention'), where, GRID)
    with pytest.raises(
        ValueError, match='layers.0: .* one of proj, .* all nn.Linear, .*; got none'
    ):
        replace_attention(
            nn.ModuleDict(dict(layers=nn.ModuleList([nn.ReLU()]))), EMIM, 'layers.*', GRID
        )
    net.layers[0].attention.q_norm = nn.LayerNorm(4)
    with pytest.raises(ValueError, match='motion modules have no q_norm, this attention has'):
        replace_attention(net, EMIM, where, GRID)
    net.layers[0].attention.q_norm, net.layers[0].attention.scale = None, 1.0
    with pytest.raises(ValueError, match='scale queries by 0.5, this attention by 1'):
        replace_attention(net, EMIM, where, GRID)
    insert_motion(net, EMIM, 'layers.0', GRID)
    with pytest.raises(ValueError, match='layers.0 has a motion already'):
        insert_motion(net, EMIM, 'layers.*', GRID)


def test_compiled_with_both(net):
    x = torch.randn(2, 24, 8)
    insert_motion(net, EMIM, 'layers.0', GRID)
    replace_attention(net, EMIM, 'layers.1.attention', GRID)
    compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x))


@pytest.mark.parametrize('window', [3, 7])
def test_another_window(window):
    torch.manual_seed(0)
    module = nn.ModuleDict(dict(a=EMIMAttention(8, 2, window=5), b=nn.Linear(2, 2)))
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    weights = interpolate_window(module.state_dict(), window)
    other = nn.ModuleDict(dict(a=EMIMAttention(8, 2, window=window), b=nn.Linear(2, 2)))
    other.load_state_dict(weights)  # every shape fits
    torch.testing.assert_close(
        weights['a.rpb'][:, :: window - 1, :: window - 1], module['a'].rpb[:, ::4, ::4]
    )  # corners on corners
    assert torch.equal(weights['b.weight'], module['b'].weight)


def test_a_larger_window_of_like_weights_sums_up_the_same():
    torch.manual_seed(0)
    module, other = (EMIMAttention(8, 2, window=n) for n in (5, 7))
    first, _, second = module.motion_conv
    first.weight.data[:] = torch.randn(len(first.weight), 1)  # the same at every offset
    nn.init.normal_(second.weight)
    other.load_state_dict(interpolate_window(module.state_dict(), 7))
    flat = (torch.full((n * n,), 0.7) for n in (5, 7))
    outs = [each.motion_conv(x) for each, x in zip((module, other), flat, strict=True)]
    torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-4)


def test_no_such_window():
    with pytest.raises(ValueError, match='window must be an odd integer of 3 or more, got 4'):
        interpolate_window(EMIMAttention(8, 2).state_dict(), 4)
    with pytest.raises(ValueError, match='no EMIM is in it'):
        interpolate_window(nn.Linear(2, 2).state_dict(), 5)
