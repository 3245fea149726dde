"""Metrics, registered in MMAction2's ``METRICS``."""

from .checked_acc_metric import CheckedAccMetric

__all__ = ['CheckedAccMetric']
