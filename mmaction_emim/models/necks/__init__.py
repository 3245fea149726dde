from .emim_neck import EMIMNeck

__all__ = ['EMIMNeck']
