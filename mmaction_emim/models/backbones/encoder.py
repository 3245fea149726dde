"""``FrameEncoder`` and ``VideoEncoder``: any image or video network as a backbone.

They answer maps (N, C, T, H, W), for necks and heads that read such.
"""

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from mmaction_emim.models.plain import MotionInPlace, TokenGrid, insert_motion
from mmaction_emim.models.surgery.insertion import Insertion

from .encoder_answer import features_of, find_number, find_patch, tokens_to_map
from .encoder_network import build_network, check_call

MOTION = (Insertion, MotionInPlace)
CHANNELS = ('num_features', 'hidden_size', 'hidden_sizes', 'embed_dim', 'out_channels')
WRONG_SIZE = re.compile('size of tensor|invalid for input of size|shapes cannot be multiplied')
DTYPES = ('float32', 'bfloat16', 'float16')


class Encoder(nn.Module):
    """What both share; the arguments are :class:`.FrameEncoder`'s and :class:`.VideoEncoder`'s."""

    def __init__(
        self,
        encoder: str | Mapping[str, Any] | nn.Module | Callable[[], nn.Module],
        order: str | None,
        *,
        pretrained: bool | str | None = None,
        download: bool = False,
        frozen: bool = True,
        dtype: str = 'float32',
        insert: Mapping[str, Any] | None = None,
        grid: tuple[int, int] | None = None,
        prefix: int | None = None,
        pool: int | tuple[int, int] | None = None,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        owner = self._owner = type(self).__name__
        if dtype not in DTYPES:
            raise ValueError(f'{owner}: dtype: got {dtype!r}; accepted are {", ".join(DTYPES)}')
        self.network, self._read_weights = build_network(owner, encoder, pretrained, download)
        self.awaits_weights = self._read_weights is not None
        self.frozen, self.dtype = frozen, getattr(torch, dtype)
        kind = getattr(getattr(self.network, 'config', None), 'model_type', None)
        self.order = order or ('patch' if kind == 'timesformer' else 'clip')
        self.grid, self.pool = _pair(owner, 'grid', grid), _pair(owner, 'pool', pool)
        self.prefix, self.patch = prefix, find_patch(self.network)
        self.out_channels = out_channels or find_number(self.network, *CHANNELS)
        # Models of transformers are called by names; others, by their features where they say so.
        self._input_name = getattr(self.network, 'main_input_name', None) if kind else None
        check_call(owner, self.network, kind, self._input_name)
        self._options = set(inspect.signature(self.network.forward).parameters)
        if insert:
            self._insert(insert)
        self._motion = [m for m in self.network.modules() if isinstance(m, MOTION)]
        if dtype != 'float32' and (not frozen or self._motion):
            raise ValueError(
                f'{owner}: dtype={dtype!r} is for a frozen network without motion modules; '
                'otherwise use AmpOptimWrapper'
            )
        # Folders of transformers say a dtype of their own, and modules have one.
        if {p.dtype for p in self.network.parameters() if p.is_floating_point()} - {self.dtype}:
            self.network.to(self.dtype)
        if frozen:
            self.network.requires_grad_(False)
            for module in self._motion:
                module.requires_grad_(True)
            if not self.awaits_weights and not isinstance(encoder, nn.Module):
                print_log(
                    f'{owner}: frozen at random weights, unless a checkpoint is loaded; '
                    'pretrained says where others are',
                    logger='current',
                    level=logging.WARNING,
                )
        self.register_load_state_dict_pre_hook(_weights_arrive)
        self.train()

    def _insert(self, insert: Mapping[str, Any]) -> None:
        prefix = getattr(self.network, 'num_prefix_tokens', self.prefix or 0)
        try:
            report = insert_motion(
                self.network, **{'order': self.order, 'prefix': prefix, **insert}
            )
        except TypeError as error:
            raise ValueError(f'{self._owner}: insert: {error}') from error
        print_log(f'{self._owner}: {report}', logger='current')

    def train(self, mode: bool = True) -> 'Encoder':
        """As ``nn.Module.train``; what is frozen stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
            for module in self._motion:
                module.train(mode)
        return self

    def init_weights(self) -> None:
        """Load the pretrained weights, if there are any.

        Raises:
            OSError: They are not on this computer, and may not, or cannot, be downloaded.
            ValueError: They are not this network's.
        """
        if self._read_weights is None:
            return
        try:
            found = self.network.load_state_dict(self._read_weights(), strict=False)
        except RuntimeError as error:  # other shapes; the second line names the first
            lines = [line.strip() for line in str(error).splitlines()]
            raise ValueError(f'{self._owner}: pretrained: {lines[1]}') from error
        missing = [key for key in found.missing_keys if '.motion.' not in key]
        if missing:
            raise ValueError(
                f'{self._owner}: pretrained: {len(missing)} weights of '
                f'{type(self.network).__name__} are not there, such as {missing[0]}'
            )
        self.awaits_weights = False

    def _features(self, x: Tensor) -> Tensor:
        """What the network answers, class tokens included; float32 if its dtype is half."""
        if self.awaits_weights:
            raise RuntimeError(
                f'{self._owner}: pretrained weights are not loaded yet; call init_weights(), or '
                'load a checkpoint'
            )
        if not self.frozen or self._motion:  # gradients pass through what is frozen
            return self._call(x)
        with torch.no_grad():
            if self.dtype == torch.float32:
                return self._call(x)
            with torch.autocast(x.device.type, enabled=False):
                return self._call(x.to(self.dtype)).float()

    def _call(self, x: Tensor) -> Tensor:
        try:
            if self._input_name is None:
                call = getattr(self.network, 'forward_features', self.network)
                return features_of(self._owner, call(x))
            options = {self._input_name: x}
            if 'skip_predictor' in self._options:
                options['skip_predictor'] = True
            if 'interpolate_pos_encoding' in self._options:
                size = _pair(self._owner, 'image_size', self.network.config.image_size)
                options['interpolate_pos_encoding'] = tuple(x.shape[-2:]) != size
            return features_of(self._owner, self.network(**options))
        except (ValueError, AssertionError, RuntimeError) as error:
            # torch's errors of memory, or of tensors without data, are not about the clip.
            if isinstance(error, RuntimeError) and not WRONG_SIZE.search(str(error)):
                raise
            kind = type(self.network).__name__
            raise ValueError(f'{self._owner}: {kind} on {tuple(x.shape)}: {error}') from error

    def _to_map(
        self, features: Tensor, size: tuple[int, int], frames: int | None, clip: int | None = None
    ) -> Tensor:
        """Features of clips, or of images if ``frames`` is 1 -> (B, C, T, H, W).

        Args:
            features: What the network answered.
            size: (height, width) of its input.
            frames: 1 for images, None for clips.
            clip: Frames of the clip; None for images of which nothing says it.
        """
        if features.dim() == 3:
            grid = self.grid
            if grid is None and self.patch:
                grid = size[0] // self.patch[0], size[1] // self.patch[1]
            order = 'clip' if frames else self.order
            maps = tokens_to_map(self._owner, features, grid, self.prefix, order, frames, clip)
        elif features.dim() == 4 and frames:
            if getattr(self.network, 'output_fmt', '') == 'NHWC':  # timm's Swin
                features = features.permute(0, 3, 1, 2)
            maps = features.unsqueeze(2)
        elif features.dim() == 5 and not frames:
            maps = features
        else:
            raise ValueError(
                f'{self._owner}: the encoder must answer tokens, or maps (B, C, H, W) of images '
                f'and (B, C, T, H, W) of clips, got {tuple(features.shape)}'
            )
        if self.out_channels not in (None, maps.shape[1]):
            raise ValueError(
                f'{self._owner}: out_channels must be {maps.shape[1]}, the channels that the '
                f'encoder answers, got {self.out_channels}'
            )
        self.out_channels = maps.shape[1]
        self._check_motion(clip if frames else maps.shape[2], maps.shape[3:])
        if self.pool:
            pooled = F.adaptive_avg_pool2d(maps.flatten(1, 2), self.pool)
            maps = pooled.unflatten(1, maps.shape[1:3])
        return maps

    def _check_motion(self, T: int | None, size: tuple[int, int]) -> None:
        """Refuse clips of another grid that motion modules inside cannot tell from their own.

        Raises:
            ValueError: Frames of two clips would be one clip, or rows be columns.
        """
        for module in self._motion:
            layout = module.layout
            if not isinstance(layout, TokenGrid):
                continue
            grid, there = layout.grid, (T or layout.grid[0], *size)
            joins_clips = layout.order == 'image' and grid[0] != there[0]
            if joins_clips or (grid != there and prod(grid) == prod(there)):
                raise ValueError(
                    f'{self._owner}: {module.name}: grid must be (T, H, W)={there} for these '
                    f'clips, got {grid}'
                )


def _weights_arrive(encoder: Encoder, state_dict: dict, prefix: str, *args: Any) -> None:
    """A checkpoint of a training brings what ``pretrained`` would."""
    if any(key.startswith(f'{prefix}network.') for key in state_dict):
        encoder.awaits_weights = False


def _pair(owner: str, name: str, value: Any) -> tuple[int, int] | None:
    """(n, n) of n, and (H, W) of a list.

    Raises:
        ValueError: It is neither, nor None.
    """
    if isinstance(value, int):
        value = value, value
    if value is not None and (
        not isinstance(value, list | tuple)
        or len(value) != 2
        or not all(isinstance(n, int) and n > 0 for n in value)
    ):
        raise ValueError(f'{owner}: {name} must be (H, W), got {value!r}')
    return value and tuple(value)


@MODELS.register_module()
class FrameEncoder(Encoder):
    """Any image network on the frames of a clip, which it sees one by one.

    Args:
        encoder: The network: a local folder, as ``save_pretrained`` of transformers or timm writes
            it; a name of timm's (``vit_base_patch14_dinov2.lvd142m``) or, with an owner before it,
            of the Hugging Face hub (``facebook/dinov2-base``); ``dict(type='timm.NAME', …)`` or
            ``dict(type='transformers.CLASS', …)`` with the options of the class's config, for
            which no file is needed; a dict of a registered model; a module, or what makes one.
            It answers tokens (B, prefix + H*W, C), as ``forward_features`` of timm's and
            ``last_hidden_state`` of transformers' models, or maps (B, C, H, W).
        pretrained: Where the weights are, which ``init_weights()`` loads, as training does.
            Checkpoints of a training hold them, and load without it. A folder or a hub's name for
            transformers, a file (``.safetensors``, ``.pth``) for others; True: those of the
            encoder's name; False: none. Default None: True where ``encoder`` is a name or a
            folder, else False.
        download: Whether what is not on this computer may be downloaded. Defaults to False.
        frozen: Whether the network stays in evaluation and has no gradients; motion modules in it
            are trained all the same. Defaults to True.
        dtype: Type of the network's weights, whatever a folder says or a module that is given has:
            ``'float32'`` (default) or, of a frozen network without motion modules, whatever AMP
            does, ``'bfloat16'`` or ``'float16'``; features of these two are float32.
        insert: Arguments of :func:`.insert_motion`, to put motion modules into the network:
            ``dict(motion=dict(type='EMIMAttention'), where='encoder.layer.1?', grid=(8, 16, 16),
            prefix=1)``; ``order`` is known. Default None: none.
        grid: (H, W) of the tokens. Default None: the images' size by the network's ``patch_size``.
        prefix: Class tokens and registers before them, which are dropped. Default None: what the
            grid leaves; of a clip, if its frames come out even.
        pool: (H, W), or one number for both, that the maps are averaged to. Default None: as they
            are.
        out_channels: C. Default None: what the network says.

    Attributes:
        out_channels: C; None until the first clip where nothing says it.
        awaits_weights: Whether pretrained weights are still to be loaded; clips are refused then.

    Raises:
        ValueError: An argument is not as above; from ``forward``, what the network answers is.
        ImportError: The library of the encoder is not installed.
        OSError: The encoder is not on this computer, and may not, or cannot, be downloaded.
    """

    def __init__(
        self, encoder: str | Mapping[str, Any] | nn.Module | Callable[[], nn.Module], **options: Any
    ) -> None:
        super().__init__(encoder, 'image', **options)

    @property
    def is_framewise(self) -> bool:
        """Whether no frame's features depend on another frame, as without motion modules inside."""
        return not self._motion

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) -> (N, C, T, H', W'); or images (N*T, 3, H, W) -> (N*T, C, H', W')."""
        if x.dim() not in (4, 5):
            raise ValueError(
                'FrameEncoder: clips must be (N, 3, T, H, W) or (N*T, 3, H, W), got '
                f'{tuple(x.shape)}'
            )
        images = x.transpose(1, 2).flatten(0, 1) if x.dim() == 5 else x
        clip = x.shape[2] if x.dim() == 5 else None
        maps = self._to_map(self._features(images), images.shape[-2:], 1, clip).squeeze(2)
        return maps.unflatten(0, (-1, x.shape[2])).transpose(1, 2) if x.dim() == 5 else maps


@MODELS.register_module()
class VideoEncoder(Encoder):
    """Any video network, which sees a clip at once; its tubes of frames make T' frames, T/2 mostly.

    Args:
        encoder: As :class:`.FrameEncoder`'s; it answers tokens ``(B, prefix + T'*H*W, C)`` or maps
            ``(B, C, T', H, W)``.
        order: How the tokens follow each other: ``'clip'`` or ``'patch'``, see
            :class:`.TokenGrid`. Default None: ``'patch'`` for TimeSformer, ``'clip'`` for others.
        frames_first: Whether the network takes (N, T, 3, H, W), not (N, 3, T, H, W). Default None:
            transformers' do, others do not.
        **options: The other arguments of :class:`.FrameEncoder`.

    Attributes:
        out_channels: As :class:`.FrameEncoder`'s.
        awaits_weights: As :class:`.FrameEncoder`'s.

    Raises:
        ValueError: As :class:`.FrameEncoder`.
        ImportError: As :class:`.FrameEncoder`.
        OSError: As :class:`.FrameEncoder`.
    """

    def __init__(
        self,
        encoder: str | Mapping[str, Any] | nn.Module | Callable[[], nn.Module],
        order: str | None = None,
        frames_first: bool | None = None,
        **options: Any,
    ) -> None:
        if order not in (None, 'clip', 'patch'):
            raise ValueError(f"VideoEncoder: order: got {order!r}; accepted are 'clip', 'patch'")
        super().__init__(encoder, order, **options)
        self.frames_first = bool(self._input_name) if frames_first is None else frames_first

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) -> (N, C, T', H', W')."""
        if x.dim() != 5:
            raise ValueError(f'VideoEncoder: clips must be (N, 3, T, H, W), got {tuple(x.shape)}')
        clips = x.transpose(1, 2) if self.frames_first else x
        return self._to_map(self._features(clips), x.shape[-2:], None, x.shape[2])
