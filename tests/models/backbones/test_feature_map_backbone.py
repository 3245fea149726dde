import pytest
import torch

from mmaction_emim.models import FeatureMapBackbone


@pytest.mark.parametrize('shape', [(2, 8, 4, 3, 3), (8, 8, 3, 3)])
def test_hands_on_what_it_gets(shape):
    x = torch.randn(shape)
    assert FeatureMapBackbone(in_channels=8)(x) is x


def test_names_its_key_and_the_right_number():
    with pytest.raises(ValueError, match=r'model.backbone.in_channels must be 8.*got 6'):
        FeatureMapBackbone(in_channels=6)(torch.randn(2, 8, 4, 3, 3))
    with pytest.raises(ValueError, match=r'got \(2, 8, 4\)'):
        FeatureMapBackbone()(torch.randn(2, 8, 4))
