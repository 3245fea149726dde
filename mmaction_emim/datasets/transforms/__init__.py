"""Transforms, registered in MMAction2's ``TRANSFORMS``."""

from .frame_order import FrameOrder
from .load_feature_map import LoadFeatureMap
from .noise_erasing import NoiseErasing
from .rand_augment import RandAugment
from .rawframe_decode import CheckedRawFrameDecode
from .sample_span import SampleSpan
from .video_init import CheckedDecordInit, CheckedVideoInit

__all__ = [
    'CheckedDecordInit',
    'CheckedRawFrameDecode',
    'CheckedVideoInit',
    'FrameOrder',
    'LoadFeatureMap',
    'NoiseErasing',
    'RandAugment',
    'SampleSpan',
]
