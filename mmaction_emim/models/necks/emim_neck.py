"""EMIM as a neck: x + EMIM(LayerNorm(x)) on a backbone's features, before the head."""

from collections.abc import Sequence
from typing import Any

from mmaction.registry import MODELS
from mmengine.model import ModuleDict, ModuleList
from torch import Tensor, nn

from mmaction_emim.models.motion import EMIMAttention

from .clip_neck import ClipNeck


@MODELS.register_module()
class EMIMNeck(ClipNeck):
    """Adds explicit motion to the features of any backbone. Starts as the identity.

    Args:
        in_channels: Channels C of the feature map; a list of them where the backbone returns
            several (SlowFast: its slow and its fast path).
        head_dim: Channels of a head; divides ``channels``. Defaults to 64.
        window: Side of EMIM's window; odd. Defaults to 7.
        out_of_frame: ``'pad'`` or ``'mask'``, see :class:`.EMIMAttention`. Defaults to ``'pad'``.
        num_segments: Frames T of a clip; needed for features (N*T, C, H, W), and for tests of
            ``Recognizer2D`` with several views of a clip (``TenCrop``), which it hands over in a
            row. Defaults to None.
        pool_time: What ``Recognizer2D`` gets. True (default): features averaged over time,
            as it expects of a neck, right for heads that go by the ``num_segs`` it passes
            (TSNHead). False: one feature map a frame, for heads that keep their own
            ``num_segments`` (TSMHead, TRNHead), and AttentiveHead.
        init_cfg: MMEngine's; applied before the neck makes itself the identity.
        channels: Channels that the features are projected to before EMIM sees them, and that the
            head gets; the neck starts as this projection. Default None: ``in_channels``, without
            a projection.
        depth: How many times EMIM is added, one after the other: n see n frames ahead. Defaults
            to 1.
        match_init: See :class:`.EMIMAttention`. Defaults to False.

    Raises:
        ValueError: An argument is not as above; from ``forward``, the features have other channels,
            or ``head_dim`` does not divide ``in_channels``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        head_dim: int = 64,
        window: int = 7,
        out_of_frame: str = 'pad',
        num_segments: int | None = None,
        pool_time: bool = True,
        init_cfg: dict | list[dict] | None = None,
        channels: int | None = None,
        depth: int = 1,
        match_init: bool = False,
    ) -> None:
        several = not isinstance(in_channels, int)
        super().__init__(
            in_channels, None if several else channels, num_segments, pool_time, init_cfg
        )
        if not isinstance(depth, int) or depth < 1:
            raise ValueError(f'EMIMNeck: depth must be 1 or more, got {depth!r}')
        self.pathways = None
        if several:
            more = dict(channels=channels, depth=depth, match_init=match_init)
            args = (head_dim, window, out_of_frame, num_segments, pool_time)
            self.pathways = ModuleList(EMIMNeck(n, *args, **more) for n in in_channels)
            for i, neck in enumerate(self.pathways):
                neck.key = f'in_channels[{i}]'
            return
        dim = self.out_channels
        heads = self.num_heads(head_dim)

        def emim() -> EMIMAttention:
            return EMIMAttention(
                dim, heads, window, out_of_frame=out_of_frame, match_init=match_init
            )

        self.norm, self.attn = nn.LayerNorm(dim), emim()
        # After the first, whose names are those of checkpoints with one.
        self.more = ModuleList(
            ModuleDict(dict(norm=nn.LayerNorm(dim), attn=emim())) for _ in range(depth - 1)
        )
        self._start()

    @property
    def depth(self) -> int:
        """How many times EMIM is added."""
        return 1 + len(self.more)

    def init_weights(self) -> None:
        super().init_weights()
        if self.pathways is None:
            self._start()

    def _start(self) -> None:
        for attn in (self.attn, *(block['attn'] for block in self.more)):
            attn.start_as_identity()

    def forward(self, x: Tensor | Sequence[Tensor], data_samples: Any = None) -> tuple[Any, dict]:
        """As :meth:`.ClipNeck.forward`; with several ``in_channels``, a tuple of so many maps.

        Raises:
            ValueError: The shape is none of these, or T is 1.
        """
        if self.pathways is None:
            return super().forward(x, data_samples)
        maps = len(x) if isinstance(x, tuple) else 1
        if maps != len(self.pathways):
            raise ValueError(
                f'EMIMNeck: in_channels has {len(self.pathways)} numbers, the backbone returns '
                f'{maps} feature maps'
            )
        return tuple(neck(part)[0] for neck, part in zip(self.pathways, x, strict=True)), {}

    def with_motion(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> the same."""
        x = self._add(x, self.norm, self.attn)
        for block in self.more:
            x = self._add(x, block['norm'], block['attn'])
        return x

    @staticmethod
    def _add(x: Tensor, norm: nn.Module, attn: nn.Module) -> Tensor:
        tokens = x.permute(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        return x + attn(norm(tokens)).permute(0, 4, 1, 2, 3)
