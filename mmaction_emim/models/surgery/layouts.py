"""How backbones lay out the tokens of a clip, and the way to (B, T, H, W, C) and back."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Layout:
    """Splits a layer's input into video tokens and class tokens, and merges them."""

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor | None]:
        """What a layer is called with -> tokens (B, T, H, W, C), class tokens or None."""
        raise NotImplementedError

    def merge(self, tokens: Tensor, class_tokens: Tensor | None) -> Tensor:
        """The inverse of :meth:`split`."""
        raise NotImplementedError


class ChannelsLast(Layout):
    """(B, T, H, W, C)."""

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, None]:
        return x, None

    def merge(self, tokens: Tensor, class_tokens: None) -> Tensor:
        return tokens


class ChannelsFirst(Layout):
    """(B, C, T, H, W)."""

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, None]:
        return x.permute(0, 2, 3, 4, 1), None

    def merge(self, tokens: Tensor, class_tokens: None) -> Tensor:
        return tokens.permute(0, 4, 1, 2, 3)


class Images(Layout):
    """(B*T, C, H, W), for networks on single frames.

    Args:
        num_frames: T; None where a hook of the backbone sets ``num_frames`` before each pass.
    """

    def __init__(self, num_frames: int | None) -> None:
        self.num_frames = num_frames

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, None]:
        if x.shape[0] % self.num_frames:
            raise ValueError(
                f'{x.shape[0]} frames in a batch are no multiple of num_segments={self.num_frames}'
            )
        return x.permute(0, 2, 3, 1).unflatten(0, (-1, self.num_frames)), None

    def merge(self, tokens: Tensor, class_tokens: None) -> Tensor:
        return tokens.flatten(0, 1).permute(0, 3, 1, 2)


class TimeMajor(Layout):
    """One sequence a clip, frame after frame: (B, [class] + T*H*W, C).

    Args:
        with_class: Whether the first token is a class token.
        grid: (H, W); None where the layer is called with (T, H, W) after its tokens, or where a
            hook of the backbone sets ``grid`` before each pass.
    """

    def __init__(self, with_class: bool, grid: Sequence[int] | None = None) -> None:
        self.skip = int(with_class)
        self.grid = grid

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor]:
        H, W = self.grid or context[0][1:]
        return x[:, self.skip :].unflatten(1, (-1, H, W)), x[:, : self.skip]

    def merge(self, tokens: Tensor, class_tokens: Tensor) -> Tensor:
        x = tokens.flatten(1, 3)
        return torch.cat([class_tokens, x], dim=1) if self.skip else x  # no copy without


class PatchMajor(Layout):
    """One sequence a clip, patch after patch, each with all its frames: (B, 1 + H*W*T, C).

    The first token is a class token.

    Args:
        num_frames: T.
        grid: (H, W).
    """

    def __init__(self, num_frames: int, grid: Sequence[int]) -> None:
        self.shape = (*grid, num_frames)

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor]:
        return x[:, 1:].unflatten(1, self.shape).permute(0, 3, 1, 2, 4), x[:, :1]

    def merge(self, tokens: Tensor, class_tokens: Tensor) -> Tensor:
        return torch.cat([class_tokens, tokens.permute(0, 2, 3, 1, 4).flatten(1, 3)], dim=1)


class PatchSequences(Layout):
    """One sequence over time for each patch of each clip: (T, B*H*W, C).

    Args:
        grid: (H, W).
    """

    def __init__(self, grid: Sequence[int]) -> None:
        self.grid = grid

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, None]:
        return x.unflatten(1, (-1, *self.grid)).transpose(0, 1), None

    def merge(self, tokens: Tensor, class_tokens: None) -> Tensor:
        return tokens.transpose(0, 1).flatten(1, 3)


class FrameSequences(Layout):
    """One sequence over space for each frame, with a class token.

    Args:
        num_frames: T.
        grid: (H, W).
        batch_first: (B*T, 1 + H*W, C) if True, else (1 + H*W, B*T, C).
    """

    def __init__(self, num_frames: int, grid: Sequence[int], batch_first: bool) -> None:
        self.num_frames = num_frames
        self.grid = grid
        self.batch_first = batch_first

    def split(self, x: Tensor, *context: Any) -> tuple[Tensor, Tensor]:
        if not self.batch_first:
            x = x.transpose(0, 1)
        images = x[:, 1:].unflatten(1, tuple(self.grid))  # (B*T, H, W, C)
        return images.unflatten(0, (-1, self.num_frames)), x[:, :1]

    def merge(self, tokens: Tensor, class_tokens: Tensor) -> Tensor:
        parts = [class_tokens, tokens.flatten(0, 1).flatten(1, 2)]
        if self.batch_first:
            return torch.cat(parts, dim=1)
        return torch.cat([part.transpose(0, 1) for part in parts], dim=0)


class LayoutAdapter:
    """Hooks that let a module on (B, T, H, W, C) stand where a layer of other shapes stood.

    Class tokens get zero, so that a residual branch leaves them as they are.

    Args:
        layout: The layout of the layer's first argument.
        output: What the layer returned: ``'tensor'`` (its tokens), ``'tuple'`` (a tuple with the
            tokens first, as ``nn.MultiheadAttention``), ``'size'`` (its tokens and the (T, H, W)
            that it was called with).
    """

    def __init__(self, layout: Layout, output: str = 'tensor') -> None:
        self.layout = layout
        self.output = output
        self.passing: Any = None  # class tokens and other arguments, from one hook to the other

    def attach(self, module: nn.Module) -> None:
        module.register_forward_pre_hook(self.before, with_kwargs=True)
        module.register_forward_hook(self.after)

    def before(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        tokens, class_tokens = self.layout.split(*args)
        self.passing = class_tokens, args[1:]
        return (tokens,), {}

    def after(self, module: nn.Module, args: tuple, out: Tensor) -> Any:
        (class_tokens, context), self.passing = self.passing, None
        if class_tokens is not None:
            class_tokens = torch.zeros_like(class_tokens)
        out = self.layout.merge(out, class_tokens)
        return {'tensor': out, 'tuple': (out,), 'size': (out, *context)}[self.output]
