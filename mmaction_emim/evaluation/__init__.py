"""Metrics, registered in MMAction2's ``METRICS``."""

from .checked_acc_metric import CheckedAccMetric
from .class_acc_metric import ClassAccMetric
from .class_report import ClassReport

__all__ = ['CheckedAccMetric', 'ClassAccMetric', 'ClassReport']
