"""Families of backbones x modes x motion modules."""

import copy
import io

import pytest
import torch

from mmaction_emim.models import motion
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.models.surgery.insertion import Insertion
from mmaction_emim.models.surgery.layouts import Layout

from ..conftest import EMIM, LAYOUTS, MOTION, TRANSFORMERS, ZOO


def insertable(name):
    """Families to insert the module in: EMIM in all of them, others in one of each layout."""
    return ZOO if name == EMIM else LAYOUTS.values()


def replaceable(name):
    """Families whose attention the module may replace."""
    cls = getattr(motion, name)
    if getattr(cls, 'includes_input', False):
        return []
    if getattr(cls, 'over_time_only', False):
        return ['TimeSformer']
    return [family for family in insertable(name) if family in TRANSFORMERS]


INSERTS = [(family, name, 'insert') for name in MOTION for family in insertable(name)]
REPLACES = [(family, name, 'replace') for name in MOTION for family in replaceable(name)]
every_swap = pytest.mark.parametrize('family, name, mode', INSERTS + REPLACES)


def tensors(out):
    """All tensors of a backbone's output, however nested."""
    return [out] if isinstance(out, torch.Tensor) else [x for part in out for x in tensors(part)]


def same(ours, theirs):
    pairs = zip(tensors(ours), tensors(theirs), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def motion_names(model, original):
    return set(model.state_dict()) - set(original.state_dict())


def test_each_layout_has_a_family(swapped):
    """So that a layout of a new family of backbones is met by every module."""
    # PatchSequences: of attention that is replaced; TokenGrid: of plain models
    others = {'PatchSequences', 'TokenGrid'}
    assert LAYOUTS.keys() == {cls.__name__ for cls in Layout.__subclasses__()} - others
    for layout, family in LAYOUTS.items():
        model = swapped(family, EMIM, 'insert')
        found = {type(m.layout).__name__ for m in model.modules() if isinstance(m, Insertion)}
        assert found == {layout}


@pytest.mark.parametrize('family, name, mode', INSERTS)
@pytest.mark.parametrize('amp', [False, True], ids=['fp32', 'bf16'])
def test_inserted_nothing_changes_at_first(plain, swapped, clip, family, name, mode, amp):
    original, ours = plain(family), swapped(family, name, mode)
    missing, unexpected = ours.load_state_dict(original.state_dict(), strict=False)
    assert not unexpected and set(missing) == motion_names(ours, original)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=amp):
        assert same(ours(clip(family)), original(clip(family)))


@every_swap
def test_every_parameter_learns(plain, swapped, clip, family, name, mode):
    """What has a gradient in the original has one here, and so has every new parameter."""
    original = plain(family)
    sum(x.square().mean() for x in tensors(original(clip(family)))).backward()
    learns = {name for name, p in original.named_parameters() if p.grad is not None}
    ours = swapped(family, name, mode, zero_init=False)
    new = motion_names(ours, original)
    for name, parameter in ours.named_parameters():
        if not parameter.any() or (name in new and 'norm' not in name):
            torch.nn.init.normal_(parameter, std=0.1)
    out = tensors(ours(clip(family)))
    assert all(x.isfinite().all() for x in out)
    sum(x.square().mean() for x in out).backward()
    for name, parameter in ours.named_parameters():
        if name in learns | new:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if name in new:
            assert parameter.grad.any(), name


def moved(module, args, out):
    return out + torch.rand(out.shape[-1])


@every_swap
def test_motion_is_in_use(swapped, clip, family, name, mode):
    ours, x = swapped(family, name, mode, zero_init=False), clip(family)
    modules = [module for module in ours.modules() if type(module).__name__ == name]
    assert modules
    for parameter in ours.parameters():
        if not parameter.any():  # TimeSformer's layer after attention over time
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        before = tensors(ours(x))
        for module in modules:
            module.register_forward_hook(moved, prepend=True)
        assert not same(before, ours(x))


@every_swap
def test_save_copy_and_load(swapped, clip, family, name, mode):
    ours, x = swapped(family, name, mode, zero_init=False), clip(family)
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    again = swapped(family, name, mode, zero_init=False)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert same(again(x), ours(x))
        assert same(copy.deepcopy(ours)(x), ours(x))  # as EMA does


@pytest.mark.parametrize('family, name, mode', REPLACES)
def test_replaced_in_bfloat16(swapped, clip, family, name, mode):
    ours = swapped(family, name, mode)
    with torch.autocast('cpu', torch.bfloat16):
        out = tensors(ours(clip(family)))
    sum(x.float().square().mean() for x in out).backward()
    assert all(x.isfinite().all() for x in out)
    assert all(p.grad is None or p.grad.isfinite().all() for p in ours.parameters())


@pytest.mark.parametrize('family', ['UniFormer', 'VisionTransformer', 'ResNetTSM', 'MViT'])
def test_identity_survives_init_weights(plain, swapped, clip, family):
    """MMEngine's init_cfg of a parent initializes our layers too, ours come after it."""
    ours, original = swapped(family, EMIM, 'insert'), plain(family)
    ours.init_weights()
    original.load_state_dict(ours.state_dict(), strict=False)
    with torch.no_grad():
        assert same(ours(clip(family)), original(clip(family)))


@pytest.mark.parametrize('family', TRANSFORMERS)
def test_keys_match_in_place_of_attention(swapped, family, monkeypatch):
    monkeypatch.setitem(MOTION[EMIM], 'match_init', True)
    ours = swapped(family, EMIM, 'replace')
    ours.init_weights()
    modules = [m for m in ours.modules() if isinstance(m, EMIMAttention)]
    assert modules
    for module in modules:
        q, k, _ = module.qkv.weight.chunk(3)
        assert torch.equal(q, k)
