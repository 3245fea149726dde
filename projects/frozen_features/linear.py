"""What averages of frames tell a linear classifier: how far single frames, or their order, go."""

from typing import Any

import torch
from torch import Tensor

from projects.frozen_features.runs import Cached, Clips, digits, share

PENALTIES = [10.0**power for power in range(7)]


def _frames(clips: Clips) -> Tensor:
    return clips.maps.float().mean(dim=(3, 4)).mT  # (N, T, C)


VIEWS = {
    'centre frame': lambda clips: _frames(clips)[:, clips.maps.shape[2] // 2],
    'mean of frames': lambda clips: _frames(clips).mean(dim=1),
    'frames in order': lambda clips: _frames(clips).flatten(1),
}


def result(name: str, cached: Cached, num_classes: int) -> dict[str, Any]:
    """Ridge regression on one of VIEWS, the penalty chosen on the clips that are held out.

    Returns:
        ``held_out`` and ``right``, see :func:`.execute`.
    """
    view = VIEWS[name]
    x = view(cached.fit)
    mean, std = x.mean(0), x.std(0) + 1e-4
    x = ((x - mean) / std).double()
    targets = torch.eye(num_classes, dtype=x.dtype)[cached.fit.labels] - 1 / num_classes

    def guesses(clips: Clips, weights: Tensor) -> Tensor:
        return (((view(clips) - mean) / std).double() @ weights).argmax(1)

    gram, best, chosen = x @ x.mT, -1.0, None
    for penalty in PENALTIES:
        weights = x.mT @ torch.linalg.solve(gram + penalty * torch.eye(len(x)), targets)
        right = share(guesses(cached.held_out, weights) == cached.held_out.labels)
        if right > best:
            best, chosen = right, weights
    right = {
        order: digits(guesses(clips, chosen) == clips.labels)
        for order, clips in cached.tests.items()
    }
    return dict(held_out=best, right=right)
