from .emim_uniformer import EMIMUniFormer

__all__ = ['EMIMUniFormer']
