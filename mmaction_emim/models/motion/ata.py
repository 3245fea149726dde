"""ATA: temporal attention along tracks of tokens that a one-to-one assignment follows.

Source: Zhao, Li, Guo, Lu, Alignment-guided Temporal Attention, NeurIPS 2022, arXiv 2210.00132.
The paper's code is not public. What it leaves open is decided here and marked as ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import check_heads, check_tokens

ASSIGNMENTS = ('greedy', 'exact', 'none')
STAY = 1e-5  # breaks ties in favour of a token's own position


def assign(similarity: Tensor, assignment: str = 'greedy') -> Tensor:
    """One-to-one assignment of rows to columns with a large total similarity.

    Args:
        similarity: (..., N, N).
        assignment: ``'exact'``: the largest total (scipy, on the CPU). ``'greedy'``: rows and
            columns that prefer each other are paired, round after round, which gives what
            taking the most similar pair that is left again and again gives; batched, any device.

    Returns:
        The column of each row, (..., N), int64.

    Raises:
        ImportError: ``'exact'`` without scipy.
    """
    N = similarity.shape[-1]
    similarity = similarity.detach().float()
    similarity = similarity + STAY * torch.eye(N, device=similarity.device)
    flat = similarity.reshape(-1, N, N)
    solve = _exact if assignment == 'exact' else _greedy
    return solve(flat).view(similarity.shape[:-1])


def _exact(similarity: Tensor) -> Tensor:
    try:
        from scipy.optimize import linear_sum_assignment  # the one user of more than torch
    except ImportError as error:
        raise ImportError(
            f"assignment='exact' needs scipy, which cannot be imported ({error}); pip install "
            "scipy, or take 'greedy'"
        ) from error

    matrices = similarity.cpu().numpy()
    columns = [linear_sum_assignment(matrix, maximize=True)[1] for matrix in matrices]
    return torch.stack([torch.as_tensor(column) for column in columns]).to(similarity.device)


def _greedy(similarity: Tensor) -> Tensor:
    by_row, by_column = similarity, similarity.transpose(-2, -1).contiguous()  # (M, N, N)
    best_column, best_row = by_row.argmax(-1), by_column.argmax(-1)  # (M, N)
    row_left = torch.ones_like(best_column, dtype=torch.bool)
    column_left = row_left.clone()
    column = torch.full_like(best_column, -1)
    rows = torch.arange(column.shape[-1], device=column.device)
    while row_left.any():
        mutual = row_left & (best_row.gather(-1, best_column) == rows)
        column = torch.where(mutual, best_column, column)
        row_left &= ~mutual
        column_left[mutual.nonzero(as_tuple=True)[0], best_column[mutual]] = False
        # Only those who lost what they preferred look again: most rounds pair a few.
        stale = row_left & ~column_left.gather(-1, best_column)
        best_column[stale] = _best(by_row, stale, column_left)
        stale = column_left & ~row_left.gather(-1, best_row)
        best_row[stale] = _best(by_column, stale, row_left)
    return column


def _best(similarity: Tensor, rows: Tensor, left: Tensor) -> Tensor:
    """The most similar entry that is left, of the rows chosen by a mask, in its order."""
    matrix = rows.nonzero(as_tuple=True)[0]
    return similarity[rows].masked_fill(~left[matrix], float('-inf')).argmax(-1)


@torch.no_grad()
def tracks(x: Tensor, assignment: str = 'greedy') -> Tensor:
    """Where each token of the first frame goes.

    Cosine similarity of neighbouring frames' tokens, one-to-one assignment, and the assignments
    composed, so that every frame is in the first one's order (all three ours).

    Args:
        x: Tokens, (B, T, N, C).
        assignment: See :func:`.assign`; ``'none'`` stays in place.

    Returns:
        Index of each track's token in each frame, (B, T, N), int64; a permutation in every frame.
    """
    B, T, N = x.shape[:3]
    path = [torch.arange(N, device=x.device).expand(B, N)]
    if assignment == 'none':
        return path[0].unsqueeze(1).expand(B, T, N)
    unit = F.normalize(x.float(), dim=-1)
    step = assign(unit[:, :-1] @ unit[:, 1:].transpose(-2, -1), assignment)  # (B, T-1, N)
    for t in range(T - 1):
        path.append(step[:, t].gather(-1, path[-1]))
    return torch.stack(path, dim=1)


def align(x: Tensor, path: Tensor) -> Tensor:
    """Tokens (B, T, N, C) in the order of their tracks, (B, T, N)."""
    return x.gather(2, path.unsqueeze(-1).expand_as(x))


def dealign(x: Tensor, path: Tensor) -> Tensor:
    """The inverse of :func:`align`: tokens back at their positions."""
    return align(x, path.argsort(dim=-1))


class AlignmentGuidedTemporalAttention(nn.Module):
    """Multi-head attention over time along tracks of aligned tokens; a drop-in for attention.

    No gradient flows through the alignment, and it has no parameter. ``qkv`` and ``proj`` have
    plain attention's shapes, so its weights load as they are.

    Args:
        dim: Channels C of the tokens.
        num_heads: Heads; divides ``dim``. Defaults to 8.
        qkv_bias: Whether q, k and v have a bias. Defaults to True.
        proj_drop: Dropout rate after the projection. Defaults to 0.
        assignment: ``'greedy'`` (default), ``'exact'`` or ``'none'`` (attention over time at a
            fixed position), see :func:`.assign`.

    Raises:
        ValueError: An argument is not as above.
    """

    over_time_only = True

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        qkv_bias: bool = True,
        proj_drop: float = 0.0,
        assignment: str = 'greedy',
    ) -> None:
        super().__init__()
        check_heads('AlignmentGuidedTemporalAttention', dim, num_heads)
        if assignment not in ASSIGNMENTS:
            raise ValueError(
                f'AlignmentGuidedTemporalAttention: assignment: got {assignment!r}; '
                f'accepted are {ASSIGNMENTS}'
            )
        self.num_heads = num_heads
        self.assignment = assignment
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def start_as_identity(self) -> None:
        """Make the output zero until trained, so that a residual branch adds nothing."""
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is 1: an alignment needs two frames.
        """
        path = self.tracks(x)
        tokens = x.flatten(2, 3)  # (B, T, N, C)
        qkv = self.qkv(align(tokens, path)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(3, 0, 2, 4, 1, 5)  # 3 x (B, N, heads, T, d)
        out = F.scaled_dot_product_attention(q, k, v)
        out = out.permute(0, 3, 1, 2, 4).flatten(-2)  # (B, T, N, C)
        out = self.proj_drop(self.proj(dealign(out, path)))
        return out.view(x.shape)

    def tracks(self, x: Tensor) -> Tensor:
        """Where each token of the first frame goes, as :meth:`forward` aligns them.

        Args:
            x: Tokens, (B, T, H, W, C).

        Returns:
            (B, T, H*W), int64: the place of each track in each frame, ``row * W + column``; see
            :func:`.tracks`.

        Raises:
            ValueError: As :meth:`forward`.
        """
        check_tokens('AlignmentGuidedTemporalAttention', x)
        return tracks(x.flatten(2, 3), self.assignment)

    def extra_repr(self) -> str:
        return f'num_heads={self.num_heads}, assignment={self.assignment}'
