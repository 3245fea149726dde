"""``MotionBackbone``: any backbone of MMAction2 with motion modules in it, by config."""

from collections.abc import Mapping, Sequence
from types import MethodType

from mmaction.registry import MODELS
from mmengine.logging import print_log
from rich.console import Console
from rich.table import Table
from torch import nn

from mmaction_emim.models.weights.attention import copy_attention
from mmaction_emim.models.weights.load_report import ConvertOnLoad

from . import cnn, mvit, swin, timesformer, uniformer, uniformerv2, vision_transformer
from .insertion import Insertion, insert
from .insertion_point import InsertionPoint
from .motion_module import build_motion, module_name
from .selection import select

FAMILIES = (uniformer, uniformerv2, timesformer, swin, mvit, vision_transformer, cnn)
MODES = ('replace', 'insert')


@MODELS.register_module()
def MotionBackbone(  # noqa: N802 (a config's type: it stands where a class stands)
    backbone: dict,
    motion: dict,
    mode: str = 'replace',
    layers: str | Sequence[str] | None = None,
    stages: Sequence[int] | None = None,
    alternation: str | None = None,
    zero_init: bool | None = None,
    before: str | None = None,
    num_segments: int | None = None,
) -> nn.Module:
    """Build a backbone and put motion modules in it.

    The result is the backbone itself: names of untouched layers do not change, so checkpoints and
    configs of the original serve it. Loading a checkpoint converts the weights of attention layers
    that were replaced, and logs a report of every key. The backbone's ``frozen_stages`` freeze its
    own layers, never the motion modules.

    Args:
        backbone: Config of the backbone to build.
        motion: Config of the motion module, e.g. ``dict(type='EMIMAttention', window=7)``: any
            module of :mod:`mmaction_emim.models.motion`'s contract, by registered name or class.
            Unless given, ``dim`` and ``num_heads`` are the layer's (convolutional networks: heads
            of 64 channels, or of the largest power of two that divides C).
        mode: ``'replace'``: the module takes the place of the layer's attention (over time, where
            it is divided) and its ``qkv`` and ``proj``. ``'insert'``: the module goes before the
            layer as a residual branch of its own. Defaults to ``'replace'``.
        layers: Names of the layers, or patterns of them as file names have (``blocks.1?``). None
            (default) leaves it to ``stages`` and ``alternation``.
        stages: Stages of the backbone, from 1. Defaults to all.
        alternation: Which layers of a stage get a module (``L``) and which stay as they are
            (``G``); repeats along the stage. Layers that cannot serve are not counted. Not beside
            ``layers``. Defaults to ``'LG'``, every other one, EMIM's.
        zero_init: Whether inserted modules start as the identity: the network computes at first
            what it computed without them. With ``mode='insert'`` only. Defaults to True.
        before: Which convolution of a residual block a module is inserted before; convolutional
            networks only. ``'conv1'`` (default) is M2A's; ``'conv2'`` has a quarter of the channels
            in bottlenecks, which makes EMIM about 16 times cheaper.
        num_segments: Frames T of a clip, for networks on single frames that do not know it: ResNet
            (TSN) and MobileNetV2.

    Returns:
        The backbone.

    Raises:
        ValueError: The backbone is of no family known here, nothing matches, a layer cannot serve,
            an argument is not as above or has no effect.
    """
    if not isinstance(motion, Mapping) or 'type' not in motion:
        raise ValueError(f'MotionBackbone: motion must be a dict with a type, got {motion!r}')
    if mode not in MODES:
        raise ValueError(f'MotionBackbone: mode: got {mode!r}; accepted are {MODES}')
    if mode == 'replace':
        _refuse("with mode='replace'", zero_init=zero_init)
    if layers is not None:
        _refuse('beside layers', alternation=alternation)
    built = MODELS.build(backbone)
    points = _insertion_points(built, num_segments, before)
    if mode == 'replace':
        _check_replaceable(built, points)
    chosen = select(points, mode, layers, stages, 'LG' if alternation is None else alternation)
    rows, replaced = [], []
    for point in chosen:
        parameters = sum(p.numel() for p in built.parameters())
        if mode == 'insert':
            insert(built, point, build_motion(motion, point), zero_init is not False)
        else:
            attention = built.get_submodule(point.attention)
            module = build_motion(motion, point, attention)
            _check_replacing(built, module, point)
            copy_attention(attention, module)
            point.replace(built, module)
            replaced.append(point.attention)
        added = sum(p.numel() for p in built.parameters()) - parameters
        rows.append((point.name if mode == 'insert' else point.attention, added))
    _keep_learning(built, replaced)
    ConvertOnLoad(replaced).attach(built)
    print_log(_table(built, motion, mode, rows), logger='current')
    return built


def _keep_learning(backbone: nn.Module, replaced: Sequence[str]) -> None:
    """Undo, after each ``train()``, what the backbone's own freezing did to motion modules."""
    backbone.replaced_attention = tuple(replaced)
    backbone.train = MethodType(_train, backbone)  # a method, so that a copy has its own


def _train(backbone: nn.Module, mode: bool = True) -> nn.Module:
    modules = [module for module in backbone.modules() if isinstance(module, Insertion)]
    modules += map(backbone.get_submodule, backbone.replaced_attention)
    learning = [p for module in modules for p in module.parameters() if p.requires_grad]
    type(backbone).train(backbone, mode)
    for parameter in learning:
        parameter.requires_grad_(True)
    for module in modules:
        module.train(mode)
    return backbone


def _insertion_points(
    backbone: nn.Module, num_segments: int | None, before: str | None
) -> list[InsertionPoint]:
    name = type(backbone).__name__
    for family in FAMILIES:
        if not isinstance(backbone, family.BACKBONES):
            continue
        if family is cnn:
            return cnn.insertion_points(backbone, num_segments, before)
        _refuse(f'in {name}, which has no residual blocks of convolutions', before=before)
        _refuse(f'in {name}, which knows the frames of a clip', num_segments=num_segments)
        return family.insertion_points(backbone)
    known = ', '.join(cls.__name__ for family in FAMILIES for cls in family.BACKBONES)
    raise ValueError(
        f'MotionBackbone: {name} is not supported; supported are {known} and what derives from them'
    )


def _refuse(where: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f'MotionBackbone: {name}={value!r} has no effect {where}; leave it out'
            )


def _check_replaceable(backbone: nn.Module, points: Sequence[InsertionPoint]) -> None:
    if not any(point.replace for point in points):
        reason = next(
            (f' ({point.unsupported_reason})' for point in points if point.unsupported_reason), ''
        )
        raise ValueError(
            f'MotionBackbone: {type(backbone).__name__} has no attention to replace{reason}; '
            "use mode='insert'"
        )


def _check_replacing(backbone: nn.Module, module: nn.Module, point: InsertionPoint) -> None:
    name = f'MotionBackbone: {type(module).__name__}'
    if getattr(module, 'includes_input', False):
        raise ValueError(
            f"{name}: its output includes its input, an attention's does not; use mode='insert'"
        )
    if getattr(module, 'over_time_only', False) and not point.over_time_only:
        raise ValueError(
            f"{name} attends over time only, {type(backbone).__name__}'s attention also over "
            "space; use mode='insert'"
        )


def _table(backbone: nn.Module, motion: dict, mode: str, rows: list[tuple[str, int]]) -> str:
    total = sum(p.numel() for p in backbone.parameters())
    table = Table('layer', 'module', 'parameters added')
    for name, added in rows:
        table.add_row(name, module_name(motion), f'{added:+,}')
    added = sum(added for _, added in rows)
    table.add_row(f'{len(rows)} layers', '', f'{added:+,} (of {total:,})')
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return f'MotionBackbone: {mode} in {type(backbone).__name__}\n{capture.get()}'
