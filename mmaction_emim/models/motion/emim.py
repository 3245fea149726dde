"""EMIM: F + M, context and motion from one affinity of frame t's queries with frame t+1's keys.

Source: Zhuang et al., Explicit Motion Information Mining, arXiv 2510.18705.
"""

import torch
from torch import Tensor, nn

from mmaction_emim import ops

from .checks import check_heads, check_tokens


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


@torch.no_grad()
def match_keys(qkv: nn.Linear) -> None:
    """Give the keys the queries' weights."""
    for parameter in qkv.parameters():
        q, k, _ = parameter.chunk(3)
        k.copy_(q)


class EMIMAttention(nn.Module):
    """Explicit motion information mining, a drop-in for self-attention over video tokens.

    Queries of frame t meet the keys of a window around their position in frame t+1. The affinity is
    softmaxed to gather context from the values, and read raw, as a cost volume, by a small MLP
    that turns it into motion features. The last frame has no successor and repeats the output of
    the frame before.

    ``qkv`` and ``proj`` have plain attention's shapes, so its weights load as they are. At
    initialization the motion MLP gives zero.

    Args:
        dim: Channels C of the tokens.
        num_heads: Heads; divides ``dim``.
        window: Side of the window in tokens; odd, 3 or more. Defaults to 7.
        qkv_bias: Whether q, k and v have a bias. Defaults to True.
        proj_drop: Dropout rate after the projection. Defaults to 0.
        out_of_frame: ``'pad'`` (the authors') or ``'mask'``, see
            :func:`mmaction_emim.ops.cost_volume`. Defaults to ``'pad'``.
        match_init: Whether keys start with the queries' weights, so that the affinity is the
            similarity of patches from the first step. Ours, not the paper's: without pretrained
            attention weights, training otherwise waits long for q and k to agree. Defaults to
            False.
        backend: See :func:`mmaction_emim.ops.cost_volume`. Defaults to ``'auto'``.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        window: int = 7,
        qkv_bias: bool = True,
        proj_drop: float = 0.0,
        out_of_frame: str = 'pad',
        match_init: bool = False,
        backend: str = 'auto',
    ) -> None:
        super().__init__()
        check_heads('EMIMAttention', dim, num_heads)
        ops.check_window(window, 'EMIMAttention: window')
        ops.check_choices(out_of_frame, backend)
        self.num_heads = num_heads
        self.window = window
        self.out_of_frame = out_of_frame
        self.match_init = match_init
        self.backend = backend
        head_dim, offsets = dim // num_heads, window * window
        self.scale = head_dim**-0.5

        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.rpb = nn.Parameter(torch.empty(num_heads, window, window))
        self.motion_conv = nn.Sequential(
            nn.Linear(offsets, 4 * offsets), QuickGELU(), nn.Linear(4 * offsets, head_dim)
        )
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialize what plain attention lacks (MMEngine calls this after a parent's init_cfg)."""
        nn.init.trunc_normal_(self.rpb, std=0.02)
        nn.init.xavier_uniform_(self.motion_conv[0].weight)
        nn.init.zeros_(self.motion_conv[0].bias)
        nn.init.zeros_(self.motion_conv[2].weight)
        nn.init.zeros_(self.motion_conv[2].bias)
        if self.match_init:
            match_keys(self.qkv)

    def start_as_identity(self) -> None:
        """Make the output zero until trained, so that a residual branch adds nothing."""
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is 1: motion needs two frames.
        """
        check_tokens('EMIMAttention', x)
        out = self.attend(self.project(x))
        return torch.cat([out, out[:, -1:]], dim=1)

    def project(self, x: Tensor) -> Tensor:
        """Queries, keys and values of each token: (B, T, H, W, C) -> (B, T, H, W, 3, heads, d)."""
        return self.qkv(x).unflatten(-1, (3, self.num_heads, -1))

    def attend(self, qkv: Tensor) -> Tensor:
        """Context and motion of each frame with the next, projected.

        Args:
            qkv: (B, T, H, W, 3, heads, d), from :meth:`project`.

        Returns:
            (B, T-1, H, W, C).
        """
        fc1, _, fc2 = self.motion_conv  # computed inside the operator, on its affinity
        out = ops.motion_attention(
            qkv,
            self.rpb,
            self.window,
            ops.MLP(fc1.weight, fc1.bias, fc2.weight, fc2.bias),
            scale=self.scale,
            out_of_frame=self.out_of_frame,
            backend=self.backend,
        )
        return self.proj_drop(self.proj(out.flatten(-2)))

    def affinity(self, x: Tensor) -> Tensor:
        """The raw affinity that :meth:`forward` softmaxes and reads as a cost volume.

        Args:
            x: Tokens, (B, T, H, W, C).

        Returns:
            (B, T-1, heads, H, W, window * window), offsets row-major, the vertical one first; see
            :func:`mmaction_emim.ops.cost_volume`. Pair t is of frames t and t+1: the last frame,
            which has no next one, has no affinity. float32 where the layer computes in half
            precision. It carries gradients.

        Raises:
            ValueError: As :meth:`forward`.
        """
        check_tokens('EMIMAttention', x)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, _ = qkv.permute(4, 0, 1, 5, 2, 3, 6)  # 3 x (B, T, heads, H, W, d)
        affinity = ops.cost_volume(
            q[:, :-1].flatten(0, 1) * self.scale,
            k[:, 1:].flatten(0, 1),
            self.rpb,
            self.window,
            out_of_frame=self.out_of_frame,
            backend=self.backend,
        )
        return affinity.unflatten(0, (x.shape[0], -1))

    def motion_field(self, x: Tensor, head: int | None = None) -> ops.MotionField:
        """Where the affinity says that each token goes by the next frame.

        Args:
            x: Tokens, (B, T, H, W, C).
            head: The head to read; None (default) averages all.

        Returns:
            Displacement (B, T-1, H, W, 2), x and y in tokens, and confidence (B, T-1, H, W); see
            :func:`mmaction_emim.ops.motion_field`.

        Raises:
            ValueError: As :meth:`forward`, or there is no such head.
        """
        return ops.motion_field(self.affinity(x), self.window, head)

    def extra_repr(self) -> str:
        return f'num_heads={self.num_heads}, window={self.window}, out_of_frame={self.out_of_frame}'
