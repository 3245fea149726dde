"""Parameters and multiply-accumulates of a recognizer, on tensors without data."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmaction_emim.compat import FakeTensorMode
from mmaction_emim.evaluation.protocol import input_shape, is_2d
from mmaction_emim.models.motion import EMIMAttention

ATA = 'AlignmentGuidedTemporalAttention'  # its path depends on values
DOWNLOADS = dict(pretrained=None, pretrained2d=False, clip_pretrained=False)


def cost(cfg: Config) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one test view) of a config, as :func:`complexity`."""
    value_dependent = cfg.model.backbone.get('motion', {}).get('type') == ATA
    return complexity(cfg.model, input_shape(cfg), run=value_dependent)


def complexity(model_cfg: dict, shape: tuple[int, int, int], run: bool = False) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one view) of a recognizer.

    Counted are convolutions, linear layers and matrix products, as fvcore does, and w * w products
    of a query with its window's keys, and again values, in EMIM's attention, whichever way the
    backend gets them. Norms, activations and softmax are not counted.

    Args:
        model_cfg: ``model`` of a config.
        shape: (T, H, W) of the clip.
        run: Whether to compute on real tensors, for networks whose path depends on values.
            Defaults to False: seconds and little memory for any size.

    Raises:
        ValueError: The network cannot take a clip of this shape.
    """
    init_default_scope('mmaction')
    model = MODELS.build(without_downloads(model_cfg)).eval()
    T, H, W = shape
    clip = (1, T, 3, H, W) if is_2d(model_cfg) else (1, 1, 3, T, H, W)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        # FlopCounterMode does not know the CPU's fused kernel.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if not run:
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        windows = stack.enter_context(count_windows(model))
        counter = stack.enter_context(FlopCounterMode(display=False))
        try:
            model.extract_feat(torch.zeros(clip), stage='head')
        except RuntimeError as error:
            raise ValueError(f'a clip of {T} x {H} x {W} does not fit: {error}') from error
    flops = counter.get_total_flops()
    return sum(p.numel() for p in model.parameters()), flops // 2 + sum(windows)


def without_downloads(cfg: dict) -> dict:
    """A copy of a model's config whose networks load no pretrained weights when they are built."""
    copy = {k: without_downloads(v) if isinstance(v, dict) else v for k, v in cfg.items()}
    return copy | {key: DOWNLOADS[key] for key in DOWNLOADS.keys() & copy.keys()}


@contextmanager
def count_windows(model: nn.Module) -> Iterator[list[int]]:
    """Counts the windows of EMIM's attention; the reference backend has no product to count."""
    counts: list[int] = []

    def count(module: EMIMAttention, inputs: tuple[Tensor], output: Tensor) -> None:
        B, T, H, W, C = inputs[0].shape
        counts.append(2 * B * (T - 1) * H * W * C * module.window**2)

    modules = [module for module in model.modules() if isinstance(module, EMIMAttention)]
    backends = [module.backend for module in modules]
    hooks = [module.register_forward_hook(count) for module in modules]
    for module in modules:
        module.backend = 'reference'
    yield counts
    for module, backend, hook in zip(modules, backends, hooks, strict=True):
        module.backend = backend
        hook.remove()
