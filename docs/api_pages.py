"""Writes the pages of the API reference: one for each package, found by walking them."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import mmaction_emim

# Imported only where Triton is, and called by ``ops.triton`` alone.
KERNELS = {'mmaction_emim.ops.triton_kernels', 'mmaction_emim.ops.triton_tiles'}


def packages() -> dict[str, list[ModuleType]]:
    """Each package's name -> the package itself, then its modules."""
    found = {mmaction_emim.__name__: [mmaction_emim]}
    for info in pkgutil.walk_packages(mmaction_emim.__path__, f'{mmaction_emim.__name__}.'):
        if info.name not in KERNELS:
            package = info.name if info.ispkg else info.name.rpartition('.')[0]
            found.setdefault(package, []).append(importlib.import_module(info.name))
    return found


def public(module: ModuleType) -> list[type | object]:
    """The public classes and functions that ``module`` defines, in their order there."""
    return [
        member
        for name, member in vars(module).items()
        if not name.startswith('_')
        and (inspect.isclass(member) or inspect.isfunction(member))
        and member.__module__ == module.__name__
    ]


def imported_as(member: type | object) -> str:
    """The full name that users import: from the closest package that exports it, if one does."""
    package, name = member.__module__, member.__name__
    while package:
        module = importlib.import_module(package)
        if name in getattr(module, '__all__', []) and getattr(module, name) is member:
            return f'{package}.{name}'
        package = package.rpartition('.')[0]
    return f'{member.__module__}.{name}'


def constants(module: ModuleType) -> list[str]:
    """Full names of the constants of ``module`` that docstrings refer to."""
    package = Path(mmaction_emim.__file__).parent
    text = '\n'.join(path.read_text() for path in package.rglob('*.py'))
    named = set(re.findall(r':data:`[\w.~]*?(\w+)`', text))
    assigned = re.findall(r'^([A-Z_]+)(?:: [^=]+)? = ', inspect.getsource(module), re.MULTILINE)
    return [f'{module.__name__}.{name}' for name in assigned if name in named]


def page(package: str, modules: list[ModuleType]) -> str:
    """The page of a package, in reStructuredText."""
    lines = [package, '=' * len(package), '']
    names = {imported_as(member) for module in modules for member in public(module)}
    for module in modules:
        if module.__name__ != package:
            lines += [module.__name__, '-' * len(module.__name__), '']
        # apis.export is a module and, for users, the function that it defines.
        hidden = ['   :no-index:'] if module.__name__ in names else []
        lines += [f'.. automodule:: {module.__name__}', *hidden, '']
        for name in constants(module):
            lines += [f'.. py:data:: {name}', '']
        for member in public(module):
            if inspect.isclass(member):
                lines += [f'.. autoclass:: {imported_as(member)}']
                lines += ['   :members:', '   :show-inheritance:', '']
            else:
                lines += [f'.. autofunction:: {imported_as(member)}', '']
    return '\n'.join(lines)


def write(folder: Path) -> None:
    """Write all pages into ``folder``; those that are as they were stay untouched."""
    pages = {folder / f'{name}.rst': page(name, modules) for name, modules in packages().items()}
    folder.mkdir(exist_ok=True)
    for path in set(folder.glob('*.rst')) - set(pages):
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
