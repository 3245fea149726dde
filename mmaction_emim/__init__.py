"""Explicit motion modelling for MMAction2: EMIM and its relatives.

Where MMAction2 is installed, importing this package closes the gaps of its released wheels and
tells its registries where our components are, as soon as others import it: this package does not.
Without it, ``ops`` and ``models.motion`` still work.
"""

from importlib.util import find_spec

__version__ = '0.1.0'

if find_spec('mmaction') is not None:
    from . import compat

    compat.apply()
