"""Parameters and multiply-accumulates of a recognizer, on tensors without data."""

from contextlib import nullcontext
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmaction_emim.compat import FakeTensorMode
from mmaction_emim.evaluation.protocol import input_shape, is_2d

DOWNLOADS = dict(pretrained=None, pretrained2d=False, clip_pretrained=False)
OF_EMIM = {'window', 'out_of_frame', 'match_init'}  # of EMIMUniFormer's arguments
# What is left of a neck without its motion modules.
PROJECTION = dict(type='MotionNeck', motion=None, depth=0)
PROJECTED = {'in_channels', 'channels', 'head_dim', 'num_segments', 'pool_time'}


def cost(cfg: Config) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one test view) of a config, as :func:`complexity`."""
    return complexity(cfg.model, input_shape(cfg))


def complexity(model_cfg: dict, shape: tuple[int, int, int], run: bool = False) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one view) of a recognizer.

    Counted are convolutions, linear layers and matrix products, as fvcore does, and w * w products
    of a query with its window's keys, and again values, in EMIM's attention, whichever way the
    backend gets them. Norms, activations, softmax and ATA's assignment are not counted. EMIM's last
    frame repeats the output before it, which costs nothing here; the authors' code computes it
    again, so that EMIM-UniFormer-S takes 85.1 GMACs there and 84.9 here (16 frames of 224 x 224).

    Args:
        model_cfg: ``model`` of a config.
        shape: (T, H, W) of the clip.
        run: Whether to compute on real tensors. Defaults to False: tensors without data, which take
            a second or two and little memory for any size; real ones only where the path
            through the network depends on values, as ATA's does.

    Raises:
        ValueError: The network cannot take a clip of this shape.
    """
    init_default_scope('mmaction')
    if not run:
        try:
            return _count(model_cfg, shape, FakeTensorMode(allow_non_fake_inputs=True))
        except RuntimeError:
            pass  # it needs values, or the clip does not fit: with values one sees which
    try:
        return _count(model_cfg, shape, nullcontext())
    except RuntimeError as error:
        T, H, W = shape
        raise ValueError(f'a clip of {T} x {H} x {W} does not fit: {error}') from error


def without_motion(model_cfg: dict) -> dict:
    """The recognizer before motion modules were put in it, as a config.

    That is the backbone that ``MotionBackbone`` builds on, ``EMIMUniFormer`` with global attention
    in every block, and no motion in ``EMIMNeck`` and ``MotionNeck``, whose projection stays. A
    model that has none of them stays as it is.
    """
    model = dict(model_cfg)
    if _type(model['backbone']) == 'MotionBackbone':
        model['backbone'] = model['backbone']['backbone']
    elif _type(model['backbone']) == 'EMIMUniFormer':
        kept = {k: v for k, v in model['backbone'].items() if k not in OF_EMIM}
        model['backbone'] = {**kept, 'alternation': 'G'}
    if _type(model.get('neck')) in ('EMIMNeck', 'MotionNeck'):
        neck = model.pop('neck')
        if neck.get('channels'):
            model['neck'] = {**PROJECTION, **{k: neck[k] for k in PROJECTED & neck.keys()}}
    return model


def without_downloads(cfg: dict) -> dict:
    """A copy of a model's config whose networks load no pretrained weights when they are built."""
    copy = {k: without_downloads(v) if isinstance(v, dict) else v for k, v in cfg.items()}
    return copy | {key: DOWNLOADS[key] for key in DOWNLOADS.keys() & copy.keys()}


def _count(model_cfg: dict, shape: tuple[int, int, int], tensors: Any) -> tuple[int, int]:
    model = MODELS.build(without_downloads(model_cfg)).eval()
    for module in model.modules():
        if getattr(module, 'backend', None) == 'reference':
            module.backend = 'auto'  # an operator, whose products are known
        if getattr(module, 'awaits_weights', False):
            module.awaits_weights = False  # they change no count
    T, H, W = shape
    clip = (1, T, 3, H, W) if is_2d(model_cfg) else (1, 1, 3, T, H, W)
    # FlopCounterMode does not know the CPU's fused attention.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), tensors:
        with FlopCounterMode(display=False) as counter:
            model.extract_feat(torch.zeros(clip), stage='head')
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def _type(cfg: dict | None) -> str | None:
    """The name of what a config builds, without a registry's scope."""
    kind = cfg and cfg['type']
    return kind and getattr(kind, '__name__', kind).rpartition('.')[2]
