"""EMIM with its parts switched off one by one, for controlled studies; slower than EMIMAttention.

Every option is ours. With the defaults it computes what :class:`EMIMAttention` does.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim import ops
from mmaction_emim.models.motion.checks import check_tokens
from mmaction_emim.models.motion.emim import EMIMAttention
from mmaction_emim.ops.reference import PAD_VALUE, inside_frame

OPTIONS = {
    'branches': ('both', 'context', 'motion'),
    'motion_from': ('raw', 'softmax'),
    'keys': ('sliding', 'fixed'),
    'frame_step': (0, 1, 2),
}


@MODELS.register_module()
class EMIMAblation(EMIMAttention):
    """:class:`EMIMAttention` without one of its ideas; parameters have the same names and shapes.

    Args:
        dim: Channels C of the tokens.
        num_heads: Heads; divides ``dim``. Defaults to 8.
        branches: ``'both'`` (default), ``'context'``: no motion features, or ``'motion'``: no
            context, i.e. no values are gathered.
        motion_from: What the motion MLP reads: the ``'raw'`` affinity (default) or its
            ``'softmax'``.
        keys: ``'sliding'`` (default): a window around each query. ``'fixed'``: the frame is cut
            into window x window blocks from its top left corner, and a query meets the keys of its
            own block, so that an entry of the affinity means a place and not a displacement. Blocks
            that stick out of the frame are filled as ``out_of_frame`` says.
        position_bias: Whether each entry of the affinity has a learned bias. Defaults to True.
        frame_step: Queries of frame t meet keys of frame ``t + frame_step``: 1 (default); 0, their
            own frame; 2, where the last two frames repeat the output of the frame before.
        zero_init: Whether the motion MLP gives zero at first. Defaults to True.
        **kwargs: The other arguments of :class:`EMIMAttention`.

    Attributes:
        idle_parameters: How many parameters have no effect under these options.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        branches: str = 'both',
        motion_from: str = 'raw',
        keys: str = 'sliding',
        position_bias: bool = True,
        frame_step: int = 1,
        zero_init: bool = True,
        **kwargs: Any,
    ) -> None:
        given = dict(branches=branches, motion_from=motion_from, keys=keys, frame_step=frame_step)
        for name, value in given.items():
            if value not in OPTIONS[name]:
                accepted = OPTIONS[name]
                raise ValueError(f'EMIMAblation: {name}: got {value!r}; accepted are {accepted}')
        self.zero_init = zero_init  # init_weights, which super().__init__ calls, reads it
        super().__init__(dim, num_heads, **kwargs)
        self.branches = branches
        self.motion_from = motion_from
        self.keys = keys
        self.position_bias = position_bias
        self.frame_step = frame_step

        idle = [] if position_bias else [self.rpb]
        if branches == 'context':
            idle += self.motion_conv.parameters()
        for parameter in idle:
            parameter.requires_grad_(False)
        self.idle_parameters = sum(parameter.numel() for parameter in idle)
        if branches == 'motion':  # the values
            self.idle_parameters += sum(p.numel() // 3 for p in self.qkv.parameters())

    def init_weights(self) -> None:
        super().init_weights()
        if not self.zero_init:
            nn.init.xavier_uniform_(self.motion_conv[2].weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is not larger than ``frame_step``.
        """
        check_tokens('EMIMAblation', x, frames=self.frame_step + 1)
        B, T = x.shape[:2]
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(4, 0, 1, 5, 2, 3, 6)  # 3 x (B, T, heads, H, W, d)
        q = q[:, : T - self.frame_step].flatten(0, 1) * self.scale
        k, v = k[:, self.frame_step :].flatten(0, 1), v[:, self.frame_step :].flatten(0, 1)
        bias = self.rpb if self.position_bias else torch.zeros_like(self.rpb)
        if self.keys == 'fixed':
            context, affinity = self._within_blocks(q, k, v, bias)
        else:
            context, affinity = ops.local_attention(
                q, k, v, bias, self.window, out_of_frame=self.out_of_frame, backend=self.backend
            )
        out = context if self.branches != 'motion' else 0
        if self.branches != 'context':
            out = out + self.motion_conv(self._motion_input(affinity).to(x.dtype))
        out = out.unflatten(0, (B, -1)).permute(0, 1, 3, 4, 2, 5).flatten(-2)
        out = self.proj_drop(self.proj(out))  # (B, T - frame_step, H, W, C)
        return torch.cat([out, *[out[:, -1:]] * self.frame_step], dim=1)

    def _motion_input(self, affinity: Tensor) -> Tensor:
        if self.motion_from == 'raw':
            return affinity
        if self.out_of_frame == 'mask':
            affinity = affinity.masked_fill(~self._inside(affinity), float('-inf'))
        return affinity.softmax(dim=-1)

    def _inside(self, affinity: Tensor) -> Tensor:
        """(H, W, w * w) bool: does the entry's key lie inside the frame?"""
        H, W = affinity.shape[2:4]
        if self.keys == 'sliding':
            return inside_frame(H, W, self.window, affinity.device)
        frame = torch.ones(1, 1, H, W, 1, device=affinity.device)
        rows = self._blocks(frame).mT.bool()  # of each block, (1, 1, H // w, W // w, 1, w * w)
        return self._frame(rows.expand(*rows.shape[:4], self.window**2, -1), H, W)[0, 0]

    def _within_blocks(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As ops.local_attention, but the keys are the places of the query's block."""
        H, W = q.shape[2:4]
        dtype = torch.promote_types(q.dtype, torch.float32)
        with torch.autocast(q.device.type, enabled=False):
            blocks = [self._blocks(x.to(dtype), PAD_VALUE) for x in (q, k)]
            affinity = blocks[0] @ blocks[1].mT + bias.flatten(1)[:, None, None, None].to(dtype)
            affinity = self._frame(affinity, H, W)
            weight = affinity
            if self.out_of_frame == 'mask':
                outside = ~self._inside(affinity)
                weight = affinity.masked_fill(outside, float('-inf'))
                affinity = affinity.masked_fill(outside, 0.0)
            weight = self._blocks(weight.softmax(dim=-1))
            context = self._frame(weight @ self._blocks(v.to(dtype), PAD_VALUE), H, W)
        return context.to(v.dtype), affinity

    def _blocks(self, x: Tensor, value: float = 0.0) -> Tensor:
        """(N, heads, H, W, d) -> (N, heads, rows, columns, w * w, d), filled up with ``value``."""
        w, (H, W) = self.window, x.shape[2:4]
        x = F.pad(x, (0, 0, 0, -W % w, 0, -H % w), value=value)
        return x.unflatten(3, (-1, w)).unflatten(2, (-1, w)).transpose(3, 4).flatten(4, 5)

    def _frame(self, blocks: Tensor, H: int, W: int) -> Tensor:
        """The inverse of :meth:`_blocks`."""
        x = blocks.unflatten(4, (self.window, -1)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
        return x[:, :, :H, :W]

    def extra_repr(self) -> str:
        options = {name: getattr(self, name) for name in (*OPTIONS, 'position_bias', 'zero_init')}
        return ', '.join([super().extra_repr(), *(f'{k}={v}' for k, v in options.items())])
