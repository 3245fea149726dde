import pytest
import torch
from mmaction.models.backbones import ResNetTSM

from projects.motion_study.models import ShallowResNetTSM

TWO = dict(num_segments=4, num_stages=2, strides=(2, 2), dilations=(1, 1), out_indices=(1,))


def test_four_stages_are_upstreams():
    torch.manual_seed(0)
    ours = ShallowResNetTSM(num_segments=4)
    upstream = ResNetTSM(18, num_segments=4)
    upstream.load_state_dict(ours.state_dict())
    ours.eval()
    upstream.eval()
    x = torch.randn(8, 3, 32, 32)
    assert torch.equal(ours(x), upstream(x))


@pytest.mark.parametrize('is_shift', [True, False])
def test_only_the_shift_mixes_frames(is_shift):
    torch.manual_seed(0)
    network = ShallowResNetTSM(18, is_shift, **TWO)
    network.eval()
    x = torch.randn(4, 3, 32, 32)
    changed = x.clone()
    changed[0] += 1
    before, after = network(x), network(changed)
    assert before.shape == (4, 128, 2, 2)
    assert torch.equal(before[1], after[1]) != is_shift


def test_last_ratio_is_inside_the_last_block():
    def sizes(**options):
        network = ShallowResNetTSM(**TWO, **options)
        return {name: p.numel() for name, p in network.named_parameters()}

    plain, wide = sizes(), sizes(last_ratio=1.25)
    assert plain.keys() == wide.keys()
    grown = {name for name in plain if wide[name] != plain[name]}
    assert grown and all(name.startswith('layer2.1.conv') for name in grown)
    assert wide['layer2.1.conv2.conv.weight'] == 160 * 128 * 9


def test_refuses_blocks_of_three_convolutions():
    with pytest.raises(ValueError, match='ShallowResNetTSM: depth must be 18 or 34, got 50'):
        ShallowResNetTSM(50, **TWO)
