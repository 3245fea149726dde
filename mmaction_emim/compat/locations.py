"""Where the registries of MMAction2 and MMEngine find our components.

A registry imports our modules when it first looks something up, as it does its own: neither
``import mmaction_emim`` nor ``import mmaction`` loads a model.
"""

import importlib
from types import ModuleType
from typing import Any

from .cure import after


@after('mmaction.registry')
def of_mmaction2(registry: ModuleType) -> None:
    """The registries that MMAction2 has of its own."""
    for registry_, location in (
        (registry.MODELS, 'mmaction_emim.models.registration'),
        (registry.DATASETS, 'mmaction_emim.datasets'),
        (registry.TRANSFORMS, 'mmaction_emim.datasets.transforms'),
        (registry.HOOKS, 'mmaction_emim.engine'),
        (registry.HOOKS, 'mmaction_emim.visualization'),
        (registry.OPTIM_WRAPPER_CONSTRUCTORS, 'mmaction_emim.engine'),
        (registry.METRICS, 'mmaction_emim.evaluation'),
    ):
        _add(registry_, location)


@after('mmengine.registry')
def of_mmengine(registry: ModuleType) -> None:
    """Strategies, of which MMAction2 has no registry."""
    _add(registry.STRATEGIES, 'mmaction_emim.engine')


def _add(registry: Any, location: str) -> None:
    if location not in registry._locations:
        registry._locations = [*registry._locations, location]
        if registry._imported:
            importlib.import_module(location)
