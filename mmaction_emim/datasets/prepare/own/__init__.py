"""From anybody's clips to lists, a report and a config: what tools/data/own/prepare.py calls."""

from .prepare import prepare_own

__all__ = ['prepare_own']
