"""A recognizer on single frames with EMIM before its head that computes nothing twice in a stream.

The backbone sees one frame at a time and EMIM one frame and the next, so windows that overlap share
both: a window that moves on by a frame costs one frame and one pair.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .necks import EMIMNeck


class FrameMemory:
    """Scores of windows of frames, from features and pairs of frames that were computed before.

    Args:
        model: A ``Recognizer2D`` whose backbone mixes no frames, with an :class:`.EMIMNeck`.

    Raises:
        ValueError: The model is another; :meth:`why_not` says why.
    """

    def __init__(self, model: nn.Module) -> None:
        if reason := self.why_not(model):
            raise ValueError(f'frames cannot be reused: {reason}')
        self.model = model
        self.features: dict[int, Tensor] = {}  # of a frame, projected by the neck, (C, H, W)
        self._qkv: dict[int, Tensor] = {}  # of a frame, (1, 1, H, W, 3, heads, d)
        self._motion: dict[tuple[int, int], Tensor] = {}  # of two frames, (C, H, W)

    @staticmethod
    def why_not(model: nn.Module) -> str:
        """Why a model is not served; '' where it is."""
        if not type(model).__name__.endswith('Recognizer2D'):
            return f'the model is a {type(model).__name__}, whose network sees many frames at once'
        neck = model.neck if model.with_neck else None
        if not isinstance(neck, EMIMNeck) or neck.pathways is not None:
            return f'its neck must be an EMIMNeck with one in_channels, got {type(neck).__name__}'
        if neck.depth > 1:
            return f'its EMIMNeck sees more than pairs of frames: depth={neck.depth}'
        if (model.test_cfg or {}).get('fcn_test'):
            return 'test_cfg.fcn_test has the head see all frames at once'
        if not _is_framewise(model):
            return f'the backbone {type(model.backbone).__name__} mixes frames'
        return ''

    @torch.no_grad()
    def score(self, keys: Sequence[int], load: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """Raw scores (views, classes) of one window, as the head gives them.

        What was kept of other frames is forgotten.

        Args:
            keys: The frames, in the order in which the network sees them; equal keys are one frame.
            load: Gives the images (N, 3, H, W), as the data preprocessor makes them, of N keys.

        Raises:
            ValueError: There are fewer than two frames.
        """
        if len(keys) < 2:
            raise ValueError(f'FrameMemory: a window must have two frames or more, got {len(keys)}')
        pairs = list(zip(keys[:-1], keys[1:], strict=True))
        self._forget(set(keys), set(pairs))
        if new := [key for key in dict.fromkeys(keys) if key not in self.features]:
            maps = self.model.backbone(load(new))
            maps = self.model.neck.project(maps[-1] if isinstance(maps, list | tuple) else maps)
            self.features.update(zip(new, maps, strict=True))
        neck = self.model.neck
        for pair in dict.fromkeys(pairs):
            if pair not in self._motion:
                q, k = (self._qkv_of(key) for key in pair)
                out = neck.attn.attend(torch.cat([q, k], dim=1))  # (1, 1, H, W, C)
                self._motion[pair] = out[0, 0].permute(2, 0, 1)
        motion = torch.stack([self._motion[pair] for pair in [*pairs, pairs[-1]]])
        x = torch.stack([self.features[key] for key in keys]) + motion  # (T, C, H, W)
        if neck.pool_time:
            x = x.mean(dim=0, keepdim=True)
        return self.model.cls_head(x, num_segs=1)

    def _qkv_of(self, key: int) -> Tensor:
        if key not in self._qkv:
            neck = self.model.neck
            tokens = self.features[key].permute(1, 2, 0)[None, None]
            self._qkv[key] = neck.attn.project(neck.norm(tokens))
        return self._qkv[key]

    def _forget(self, keys: set[int], pairs: set[tuple[int, int]]) -> None:
        for kept, wanted in ((self.features, keys), (self._qkv, keys), (self._motion, pairs)):
            for key in kept.keys() - wanted:
                del kept[key]


@torch.no_grad()
def _is_framewise(model: nn.Module) -> bool:
    """Whether the backbone gives two frames together what it gives each of them alone."""
    if hasattr(model.backbone, 'is_framewise'):
        return model.backbone.is_framewise
    device = next(model.parameters()).device
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        together = model.backbone(images)
        alone = [model.backbone(image[None]) for image in images]
    except (RuntimeError, ValueError):  # it wants num_segments frames
        return False
    if isinstance(together, list | tuple):
        together, alone = together[-1], [each[-1] for each in alone]
    return torch.allclose(together, torch.cat(alone), rtol=1e-3, atol=1e-4)
