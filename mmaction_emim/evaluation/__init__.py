"""Metrics, registered in MMAction2's ``METRICS``."""

from .checked_acc_metric import CheckedAccMetric
from .class_acc_metric import ClassAccMetric
from .class_report import ClassReport
from .multi_label_metric import MultiLabelMetric
from .multi_label_report import MultiLabelReport

__all__ = [
    'CheckedAccMetric',
    'ClassAccMetric',
    'ClassReport',
    'MultiLabelMetric',
    'MultiLabelReport',
]
