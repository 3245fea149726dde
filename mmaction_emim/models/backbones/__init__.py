from .emim_uniformer import EMIMUniFormer
from .encoder import FrameEncoder, VideoEncoder

__all__ = ['EMIMUniFormer', 'FrameEncoder', 'VideoEncoder']
