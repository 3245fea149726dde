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
