"""On PYTHONPATH, this makes a Python in which MMAction2 is not installed."""

import sys

sys.modules['mmaction'] = None
