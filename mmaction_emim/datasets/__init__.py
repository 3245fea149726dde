"""Datasets, registered in MMAction2's ``DATASETS``."""

from importlib.util import find_spec

if find_spec('mmaction') is not None:
    from .checked import CheckedRawframeDataset, CheckedVideoDataset

    __all__ = ['CheckedRawframeDataset', 'CheckedVideoDataset']
