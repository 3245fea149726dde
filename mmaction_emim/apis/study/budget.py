"""Every arm of a network has the reference's number of parameters, by the width of its FFNs."""

from mmaction.registry import MODELS
from mmengine.config import ConfigDict

from mmaction_emim.models.motion import EMIMAblation

TOLERANCE = 0.02
STEP = 1 / 32  # of mlp_ratio: every width of the study is a multiple of 32


def num_parameters(model: dict) -> int:
    """Parameters that have an effect, of the recognizer that a config builds."""
    built = MODELS.build(model)
    idle = sum(m.idle_parameters for m in built.modules() if isinstance(m, EMIMAblation))
    return sum(parameter.numel() for parameter in built.parameters()) - idle


def fit(model: ConfigDict, target: int) -> int:
    """Set ``mlp_ratio`` of the config's backbone, where it has one, to come close to a number.

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
    count = num_parameters(model)
    if 'mlp_ratio' in backbone:
        ratio = backbone.mlp_ratio
        backbone.mlp_ratio = ratio + 1
        slope = num_parameters(model) - count  # the number is linear in the ratio
        steps = round((target - count) / slope / STEP)
        backbone.mlp_ratio = max(ratio + steps * STEP, STEP)
        count = num_parameters(model)
    if abs(count - target) > TOLERANCE * target:
        raise ValueError(
            f'{backbone.type}: {count:,} parameters, more than {TOLERANCE:.0%} from {target:,}'
        )
    return count
