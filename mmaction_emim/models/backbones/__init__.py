from .emim_uniformer import EMIMUniFormer
from .shallow_resnet_tsm import ShallowResNetTSM

__all__ = ['EMIMUniFormer', 'ShallowResNetTSM']
