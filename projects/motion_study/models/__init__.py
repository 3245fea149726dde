"""Networks' parts that only the study needs, registered in MMAction2's ``MODELS``."""

from .ablation import EMIMAblation
from .joint import JointAttention
from .shallow_resnet_tsm import ShallowResNetTSM

__all__ = ['EMIMAblation', 'JointAttention', 'ShallowResNetTSM']
