"""When a cure runs, and how it takes the place of upstream's function."""

import sys
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from types import ModuleType

from mmaction_emim.utils.import_hook import Action, ImportHook

_BEFORE: dict[str, list[Action]] = defaultdict(list)
_AFTER: dict[str, list[Action]] = defaultdict(list)
HOOK = ImportHook(_BEFORE, _AFTER)


def before(module: str) -> Callable[[Action], Action]:
    """Have a function called with this module before its code runs."""
    return _to(_BEFORE[module])


def after(module: str) -> Callable[[Action], Action]:
    """Have a function called with this module after its code ran."""
    return _to(_AFTER[module])


def _to(actions: list[Action]) -> Callable[[Action], Action]:
    def append(cure: Action) -> Action:
        actions.append(cure)
        return cure

    return append


def replace(owner: type | ModuleType, name: str, wrapper: Callable) -> None:
    """Put ``wrapper(original)`` in the place of ``owner.name``, once.

    Of a module's function, the copies that upstream's other modules imported are replaced too.
    """
    original = getattr(owner, name)
    if hasattr(original, '_mmaction_emim'):
        return
    replacement = wraps(original)(wrapper(original))
    replacement._mmaction_emim = True
    setattr(owner, name, replacement)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(('mmengine.', 'mmaction.')) and isinstance(owner, ModuleType):
            if vars(module).get(name) is original:
                setattr(module, name, replacement)


def on_cpu() -> bool:
    """Whether MMEngine finds no accelerator."""
    from mmengine.device import get_device

    return get_device() == 'cpu'
