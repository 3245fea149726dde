"""Functions that run when another module is imported."""

import importlib.abc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Action = Callable[[ModuleType], None]


class ImportHook(importlib.abc.MetaPathFinder):
    """Finds the modules it was given as everybody does, and calls functions around their code.

    Args:
        before: Name of a module, and what to call with it before its code runs.
        after: The same, after its code ran.
    """

    def __init__(
        self, before: Mapping[str, Sequence[Action]], after: Mapping[str, Sequence[Action]]
    ) -> None:
        self.before, self.after = before, after

    def install(self) -> None:
        """Watch imports from now on; ``after`` is made up for with what is imported already."""
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        for name, actions in self.after.items():
            if name in sys.modules:
                for action in actions:
                    action(sys.modules[name])

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec that the other finders give of a module to act on, its loader wrapped."""
        if fullname not in self.before and fullname not in self.after:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    around = self.before.get(fullname, ()), self.after.get(fullname, ())
                    spec.loader = _Loader(spec.loader, *around)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """A loader that calls functions before and after it executes its module."""

    def __init__(
        self, loader: importlib.abc.Loader, before: Sequence[Action], after: Sequence[Action]
    ) -> None:
        self._loader, self._before, self._after = loader, before, after

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        for action in self._before:
            action(module)
        self._loader.exec_module(module)
        for action in self._after:
            action(module)
