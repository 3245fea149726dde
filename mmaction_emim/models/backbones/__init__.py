from .emim_uniformer import EMIMUniFormer
from .encoder import FrameEncoder, VideoEncoder
from .feature_map_backbone import FeatureMapBackbone

__all__ = ['EMIMUniFormer', 'FeatureMapBackbone', 'FrameEncoder', 'VideoEncoder']
