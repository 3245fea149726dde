from .emim_neck import EMIMNeck
from .motion_neck import MotionNeck

__all__ = ['EMIMNeck', 'MotionNeck']
