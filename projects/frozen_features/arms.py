"""The arms: a neck and a head each, on the same maps, with the same number of parameters."""

from pathlib import Path
from typing import Any, NamedTuple

from mmaction.registry import MODELS
from mmengine.config import Config, ConfigDict

REFERENCE = 'emim'  # whose number of parameters all have
BASE = 'attentive'  # that the others are compared with
TOLERANCE = 0.02
WINDOW = 5
HEADS = dict(head_dim=32)
CONFIG = Path(__file__).with_name('configs') / 'probe.py'


class Arm(NamedTuple):
    """What is trained.

    Attributes:
        neck: Config, with what all arms share left out.
        head: Its class, if it is not AttentiveHead.
    """

    neck: dict[str, Any]
    head: str = ''


def _motion(motion: dict[str, Any], **more: Any) -> dict[str, Any]:
    return dict(type='MotionNeck', motion=motion, **HEADS, **more)


PLAIN = _motion(dict(type='FrameDifference'), depth=0)  # a projection alone
ATTENTION = dict(type='AlignmentGuidedTemporalAttention', assignment='none')
ARMS = {
    'mean': Arm(PLAIN, 'MeanHead'),
    'attentive': Arm(PLAIN),
    'temporal': Arm(_motion(ATTENTION, num_frames=8)),
    'difference': Arm(_motion(dict(type='FrameDifference'))),
    'emim': Arm(dict(type='EMIMNeck', window=WINDOW, match_init=True, **HEADS)),
    'motion-squeeze': Arm(_motion(dict(type='MotionSqueeze', window=WINDOW))),
}


def build(arm: Arm, channels: int, num_classes: int) -> tuple[ConfigDict, int]:
    """The arm's recognizer, as a config, and its number of parameters.

    Args:
        arm: The arm.
        channels: Channels of the maps.
        num_classes: Number of classes.

    Raises:
        ValueError: No width of the head's MLP gives the number that the reference has.
    """
    model = _model(arm, channels, num_classes)
    return model, fit(model, num_parameters(_model(ARMS[REFERENCE], channels, num_classes)))


def _model(arm: Arm, channels: int, num_classes: int) -> ConfigDict:
    model = Config.fromfile(CONFIG).model
    head = model.cls_head
    model.backbone.in_channels = channels
    model.neck = ConfigDict(in_channels=channels, channels=head.in_channels, **arm.neck)
    head.num_classes = num_classes
    if arm.head:
        head.type = arm.head
        del head['head_dim'], head['frame_positions']
    return model


def num_parameters(model: ConfigDict) -> int:
    """Of the recognizer that a config builds."""
    return sum(parameter.numel() for parameter in MODELS.build(model).parameters())


def fit(model: ConfigDict, target: int) -> int:
    """Set the width of the head's MLP to come close to a number of parameters, which is returned.

    Raises:
        ValueError: It is more than 2 % from ``target`` all the same.
    """
    head = model.cls_head
    ratio, count = head.mlp_ratio, num_parameters(model)
    head.mlp_ratio = ratio + 1
    slope = num_parameters(model) - count  # the number is linear in the ratio
    unit = 1 / head.in_channels
    head.mlp_ratio = max(ratio + round((target - count) / slope / unit) * unit, unit)
    count = num_parameters(model)
    if abs(count - target) > TOLERANCE * target:
        raise ValueError(
            f'{model.neck.type}: {count:,} parameters, more than {TOLERANCE:.0%} from {target:,}'
        )
    return count
