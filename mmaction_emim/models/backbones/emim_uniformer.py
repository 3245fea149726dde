"""EMIM-UniFormer: UniFormer whose stages 3 and 4 alternate EMIM and global attention.

Source: arXiv 2510.18705; UniFormer by subclassing ``mmaction.models.backbones.uniformer``.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.backbones.uniformer import Attention, SABlock, UniFormer
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmaction_emim.compat import BatchNorm
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.models.weights.authors import adapt_to_backbone

from .depthwise import use_depthwise_conv3d

ARCHS = {
    'tiny': dict(depth=[0, 1, 2, 0], embed_dim=[16, 32, 64, 64], head_dim=64),
    'small': dict(depth=[3, 4, 8, 3], embed_dim=[64, 128, 320, 512], head_dim=64),
    'base': dict(depth=[5, 8, 20, 7], embed_dim=[64, 128, 320, 512], head_dim=64),
}


class GlobalAttention(BaseModule):
    """UniFormer's attention of all tokens, fused: no matrix of all pairs is written or kept.

    Args:
        attn: The attention to take the layers from.
    """

    def __init__(self, attn: Attention) -> None:
        super().__init__()
        self.num_heads = attn.num_heads
        self.scale = attn.scale
        self.qkv = attn.qkv
        self.attn_drop = attn.attn_drop
        self.proj = attn.proj
        self.proj_drop = attn.proj_drop

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        dropout = self.attn_drop.p if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        return self.proj_drop(self.proj(x.transpose(1, 2).flatten(2)))


class EMIMBlock(BaseModule):
    """UniFormer's attention block with EMIM for its attention; all other layers are the block's.

    Args:
        block: The block to take the other layers from.
        attn: Motion module on (B, T, H, W, C).
    """

    def __init__(self, block: SABlock, attn: EMIMAttention) -> None:
        super().__init__()
        self.pos_embed = block.pos_embed
        self.norm1 = block.norm1
        self.attn = attn
        self.drop_path = block.drop_path
        self.norm2 = block.norm2
        self.mlp = block.mlp

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T, H, W)."""
        x = x + self.pos_embed(x)
        x = x.permute(0, 2, 3, 4, 1)  # (B, T, H, W, C)
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x.permute(0, 4, 1, 2, 3)


@MODELS.register_module()
class EMIMUniFormer(UniFormer):
    """UniFormer with explicit motion information mining.

    LayerNorms of stages 3 and 4 have the authors' eps of 1e-6; MMAction2's UniFormer has 1e-5. So
    ``EMIMUniFormer(alternation='G', temporal_stride=2)`` with the weights of ``UniFormer`` differs
    from it by 1e-5 to 2e-4 in float32.

    Args:
        arch: Sizes of the network: ``'small'`` and ``'base'`` are the paper's, ``'tiny'`` is for
            small frames on a CPU. Defaults to ``'small'``.
        depth: Blocks of the four stages. Defaults to those of ``arch``.
        embed_dim: Channels of the four stages. Defaults to those of ``arch``.
        head_dim: Channels of a head; divides the last two of ``embed_dim``. Defaults to that of
            ``arch``.
        alternation: Which blocks of stages 3 and 4 are local, i.e. EMIM (``L``), and which keep
            global space-time attention (``G``). The string repeats along a stage; a list of two
            gives each stage its own. ``'G'`` is plain UniFormer, whose layers read none of the
            next three arguments. Defaults to ``'LG'``, the paper's.
        window: Side of EMIM's window in tokens, odd; a list of two for stages 3 and 4.
            Defaults to 7.
        out_of_frame: ``'pad'`` or ``'mask'``, see :class:`.EMIMAttention`. Defaults to ``'pad'``.
        match_init: See :class:`.EMIMAttention`; for training from scratch. Defaults to False.
        temporal_stride: The stem's, 1 or 2. 1 (default) keeps every frame; UniFormer's own is 2.
        spatial_stride: The stem's, which cuts patches of that side. 4 (default) is UniFormer's;
            2 suits frames of half the size, since EMIM sees displacements of about a token.
        channels_last: Whether convolutions keep channels last, as tokens do, which saves
            transposes; on a CPU a training step of the tiny network took a quarter less.
            Defaults to False.
        with_cp: Stages, from 1, whose activations are recomputed in the backward instead of kept.
            Defaults to none.
        frozen_stages: Stages that are not trained, and normalize as in tests: 0 is the stem, 1 to 4
            the stages up to there. Defaults to -1, none.
        pretrained2d: As UniFormer's, but False by default: with True and no ``pretrained``
            upstream skips ``init_cfg``.
        **kwargs: UniFormer's other arguments (``drop_path_rate``, ``init_cfg``…).
            ``attn_drop_rate`` reaches global attention only.

    Raises:
        TypeError: An argument is unknown.
        ValueError: An argument is not as above or has no effect.
    """

    def __init__(
        self,
        arch: str = 'small',
        depth: Sequence[int] | None = None,
        embed_dim: Sequence[int] | None = None,
        head_dim: int | None = None,
        alternation: str | Sequence[str] = 'LG',
        window: int | Sequence[int] | None = None,
        out_of_frame: str | None = None,
        match_init: bool | None = None,
        temporal_stride: int = 1,
        spatial_stride: int = 4,
        channels_last: bool = False,
        with_cp: Sequence[int] = (),
        frozen_stages: int = -1,
        pretrained2d: bool = False,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in signature(UniFormer.__init__).parameters:
                raise TypeError(
                    f'EMIMUniFormer.__init__() got an unexpected keyword argument {name!r}'
                )
        if arch not in ARCHS:
            raise ValueError(f'EMIMUniFormer: arch: got {arch!r}; accepted are {list(ARCHS)}')
        if temporal_stride not in (1, 2) or spatial_stride not in (1, 2, 4):
            raise ValueError(
                'EMIMUniFormer: temporal_stride must be 1 or 2 and spatial_stride 1, 2 or 4, '
                f'got {temporal_stride} and {spatial_stride}'
            )
        if frozen_stages not in range(-1, 5):
            raise ValueError(f'EMIMUniFormer: frozen_stages must be -1 to 4, got {frozen_stages!r}')
        depth = depth or ARCHS[arch]['depth']
        embed_dim = embed_dim or ARCHS[arch]['embed_dim']
        head_dim = head_dim or ARCHS[arch]['head_dim']
        if len(depth) != 4 or len(embed_dim) != 4 or any(dim % head_dim for dim in embed_dim[2:]):
            raise ValueError(
                'EMIMUniFormer: depth and embed_dim need one number for each of 4 stages and '
                f'head_dim must divide the last two of embed_dim, got depth={list(depth)}, '
                f'embed_dim={list(embed_dim)}, head_dim={head_dim}'
            )
        super().__init__(
            depth=depth,
            embed_dim=embed_dim,
            head_dim=head_dim,
            pretrained2d=pretrained2d,
            **kwargs,
        )
        use_depthwise_conv3d(self)
        stem = self.patch_embed1.proj
        self.patch_embed1.proj = nn.Conv3d(
            stem.in_channels,
            stem.out_channels,
            kernel_size=(3, spatial_stride, spatial_stride),
            stride=(temporal_stride, spatial_stride, spatial_stride),
            padding=(1, 0, 0),
        )

        stages = (self.blocks3, self.blocks4)
        alternations = _per_stage('alternation', alternation, str)
        windows = _per_stage('window', 7 if window is None else window, int)
        for stage, pattern, stage_window in zip(stages, alternations, windows, strict=True):
            if not pattern or set(pattern) - {'L', 'G'}:
                raise ValueError(
                    f"EMIMUniFormer: alternation must be made of 'L' and 'G', got {pattern!r}"
                )
            for i, block in enumerate(stage):
                block.norm1.eps = block.norm2.eps = 1e-6
                if pattern[i % len(pattern)] == 'L':
                    attn = EMIMAttention(
                        block.attn.qkv.in_features,
                        block.attn.num_heads,
                        stage_window,
                        qkv_bias=block.attn.qkv.bias is not None,
                        proj_drop=block.attn.proj_drop.p,
                        out_of_frame='pad' if out_of_frame is None else out_of_frame,
                        match_init=bool(match_init),
                    )
                    stage[i] = EMIMBlock(block, attn)
                else:
                    block.attn = GlobalAttention(block.attn)
        given = dict(window=window, out_of_frame=out_of_frame, match_init=match_init)
        _refuse_idle(self, {**kwargs, **given})
        _recompute(self, with_cp)
        self.register_load_state_dict_pre_hook(adapt_to_backbone)
        if channels_last:
            self.to(memory_format=torch.channels_last_3d)
        self.frozen_stages = frozen_stages
        self._freeze()

    def train(self, mode: bool = True) -> 'EMIMUniFormer':
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        frozen = [self.patch_embed1] if self.frozen_stages >= 0 else []
        for stage in range(1, self.frozen_stages + 1):
            frozen += [getattr(self, f'patch_embed{stage}'), getattr(self, f'blocks{stage}')]
        for module in frozen:
            module.eval()
            module.requires_grad_(False)


def _refuse_idle(backbone: UniFormer, options: dict[str, Any]) -> None:
    """Refuse options that no attention of the network reads."""
    kinds = {type(block.attn) for stage in (backbone.blocks3, backbone.blocks4) for block in stage}
    idle = {}
    if EMIMAttention in kinds:
        idle['qk_scale'] = 'EMIM scales its queries by head_dim ** -0.5'
    else:
        idle = dict.fromkeys(('window', 'out_of_frame', 'match_init'), 'no layer is EMIM')
    if GlobalAttention not in kinds:
        idle['attn_drop_rate'] = 'no layer is global attention'
    for name, reason in idle.items():
        if options.get(name):
            raise ValueError(
                f'EMIMUniFormer: {name}={options[name]!r} has no effect, since {reason}; '
                'leave it out'
            )


def _recompute(backbone: UniFormer, stages: Sequence[int]) -> None:
    """Checkpoint each block of the stages."""
    if isinstance(stages, int) or not set(stages) <= {1, 2, 3, 4}:
        raise ValueError(f'EMIMUniFormer: with_cp: give stages from 1 to 4, got {stages!r}')
    for stage in stages:
        for block in getattr(backbone, f'blocks{stage}'):
            block.forward = partial(
                checkpoint,
                block.forward,
                use_reentrant=False,
                context_fn=partial(_with_statistics_kept, block),
            )


def _with_statistics_kept(block: nn.Module) -> tuple[AbstractContextManager, ...]:
    """Contexts of forward and recomputation; the latter must not update BatchNorm again."""
    norms = [m for m in block.modules() if isinstance(m, BatchNorm)]
    return nullcontext(), _momentum(norms, 0.0)


@contextmanager
def _momentum(norms: Sequence[nn.Module], momentum: float) -> Iterator[None]:
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = momentum
    yield
    for norm, was in zip(norms, before, strict=True):
        norm.momentum = was


def _per_stage(name: str, value: Any, kind: type) -> Sequence:
    values = [value, value] if isinstance(value, kind) else list(value)
    if len(values) != 2:
        raise ValueError(
            f'EMIMUniFormer: {name}: give one value, or two for stages 3 and 4, got {value!r}'
        )
    return values
