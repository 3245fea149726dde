"""Every arm of a network has the reference's number of parameters, by a width inside its blocks."""

from mmaction.registry import MODELS
from mmengine.config import ConfigDict

from projects.motion_study.models import EMIMAblation

TOLERANCE = 0.02
RATIOS = ('mlp_ratio', 'last_ratio')  # arguments of backbones that set such a width
STEP = 1 / 32  # of a ratio: every width of the study is a multiple of 32


def num_parameters(model: dict) -> int:
    """Parameters that have an effect, of the recognizer that a config builds."""
    built = MODELS.build(model)
    idle = sum(m.idle_parameters for m in built.modules() if isinstance(m, EMIMAblation))
    return sum(parameter.numel() for parameter in built.parameters()) - idle


def fit(model: ConfigDict, target: int) -> int:
    """Set the ratio that the config's backbone has, one of RATIOS, to come close to a number.

    Args:
        model: Config of a recognizer; changed in place.
        target: Number of parameters wanted.

    Returns:
        The number of parameters.

    Raises:
        ValueError: It is more than 2 % from ``target`` all the same.
    """
    backbone = model.backbone
    while 'backbone' in backbone:  # MotionBackbone's
        backbone = backbone.backbone
    (name,) = (name for name in RATIOS if name in backbone)
    ratio, count = backbone[name], num_parameters(model)
    backbone[name] = ratio + 1
    slope = num_parameters(model) - count  # the number is linear in the ratio
    backbone[name] = max(ratio + round((target - count) / slope / STEP) * STEP, STEP)
    count = num_parameters(model)
    if abs(count - target) > TOLERANCE * target:
        raise ValueError(
            f'{backbone.type}: {count:,} parameters, more than {TOLERANCE:.0%} from {target:,}'
        )
    return count
