"""From a dataset's official files to MMAction2's lists; used by ``tools/data/*/prepare.py``."""
