"""Private names of upstream stand in ``compat/``, or where a docstring says so at its start."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmaction_emim

UPSTREAM = {'torch', 'mmengine', 'mmcv', 'mmaction'}
FOLDERS = ('mmaction_emim', 'tools', 'demo', 'benchmarks', 'projects')


def is_private(name: str) -> bool:
    return any(part.startswith('_') and not part.startswith('__') for part in name.split('.'))


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """``a.b.c`` of upstream, through the names that the file imported; else ''."""
    if isinstance(node, ast.Name):
        return names.get(node.id, '')
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value, names)):
        return f'{owner}.{node.attr}'
    return ''


def private_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, full name) of each private name of upstream that a file imports or goes through."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = {a.asname or a.name.split('.')[0]: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = {a.asname or a.name: f'{node.module}.{a.name}' for a in node.names}
        else:
            continue
        found = {own: name for own, name in found.items() if name.split('.')[0] in UPSTREAM}
        names |= found
        yield from ((node.lineno, name) for name in found.values() if is_private(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if name := dotted(node, names):
                yield node.lineno, name


def unsaid(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    said = '\n'.join((ast.get_docstring(tree) or '').splitlines()[:3])
    return [
        f'{path}:{line}: {name}'
        for line, name in private_names(tree)
        if not any(part in said for part in name.split('.') if is_private(part))
    ]


def test_private_names_are_in_compat(root):
    files = {path for folder in FOLDERS for path in (root / folder).rglob('*.py')}
    compat = set((root / 'mmaction_emim' / 'compat').glob('*.py'))
    assert unsaid(root / 'mmaction_emim' / 'compat' / '__init__.py')
    assert [line for path in sorted(files - compat) for line in unsaid(path)] == []


@pytest.mark.parametrize(
    'code, name',
    [
        ('from mmengine._strategy import FSDPStrategy', 'mmengine._strategy.FSDPStrategy'),
        ('from torch import nn\nnn.modules.conv._ConvNd', 'torch.nn.modules.conv._ConvNd'),
        ('import torch\ntorch._C._x()', 'torch._C._x'),
        ('def f():\n    import mmcv as m\n    m._y', 'mmcv._y'),
        ('"""Says nothing."""\nfrom mmaction.datasets import _z', 'mmaction.datasets._z'),
    ],
)
def test_a_private_name_is_found(tmp_path, code, name):
    (tmp_path / 'x.py').write_text(code)
    assert f'{tmp_path}/x.py:{code.count(chr(10)) + 1}: {name}' in unsaid(tmp_path / 'x.py')


@pytest.mark.parametrize(
    'code',
    [
        '"""Derives from ``mmengine._strategy``."""\nfrom mmengine._strategy import FSDPStrategy',
        'from torch import nn\nnn.Module.__init__',
        'from . import _own\nfrom ._own import _x\n_x._y',
    ],
)
def test_other_names_are_not(tmp_path, code):
    (tmp_path / 'x.py').write_text(code)
    assert unsaid(tmp_path / 'x.py') == []


def test_overridden_private_methods_are_named():
    """A subclass that replaces a private method of upstream's says so in its docstring."""
    unsaid = set()
    for info in pkgutil.walk_packages(mmaction_emim.__path__, 'mmaction_emim.'):
        for _, cls in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            bases = [base for base in cls.__mro__ if base.__module__.split('.')[0] in UPSTREAM]
            if not cls.__module__.startswith('mmaction_emim.'):
                continue
            for name, member in vars(cls).items():
                if inspect.isfunction(member) and is_private(name):
                    said = name in cls.__doc__ or 'private' in cls.__doc__
                    if any(name in vars(base) for base in bases) and not said:
                        unsaid.add(f'{cls.__module__}.{cls.__qualname__}.{name}')
    assert unsaid == set()
