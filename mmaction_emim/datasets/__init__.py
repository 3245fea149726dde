"""Datasets, registered in MMAction2's ``DATASETS``."""

from importlib.util import find_spec

if find_spec('mmaction') is not None:
    from .checked import CheckedRawframeDataset, CheckedVideoDataset
    from .feature_map_dataset import FeatureMapDataset

    __all__ = ['CheckedRawframeDataset', 'CheckedVideoDataset', 'FeatureMapDataset']
