"""Imports run downwards: no room of the package needs one above it or beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = 'mmaction_emim'
# Top to bottom; the rooms of one line do not import each other.
LAYERS = (
    {'apis'},
    {'visualization'},
    {'engine', 'evaluation'},
    {'models'},
    {'datasets'},
    {'ops'},
    {'compat'},
    {'utils'},
)
DEPTH = {room: depth for depth, rooms in enumerate(LAYERS) for room in rooms}
# Code of one question or task, and command lines, which are the tools'.
OUTSIDE = {'projects', 'tools', 'demo', 'benchmarks', 'tests', 'argparse'}


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything that is imported, inside functions too.

    Args:
        tree: The module.
        package: Full name of the package that the module is in.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.split('.')[: len(package.split('.')) + 1 - node.level]
            base = '.'.join([*(above if node.level else ()), *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f'{base}.{alias.name}'


def offences(root: Path, folder: str, outside: set[str]) -> list[str]:
    """``file:line: code`` of each import below ``folder`` that runs up, sideways or ``outside``."""
    found = []
    for path in sorted((root / folder).rglob('*.py')):
        relative = path.relative_to(root)
        parts = relative.with_suffix('').parts
        source = path.read_text(encoding='utf-8')
        for line, name in imported(ast.parse(source), '.'.join(parts[:-1])):
            target = name.split('.')
            wrong = target[0] in outside
            if folder == target[0] == PACKAGE and len(target) > 1 and target[1] in DEPTH:
                # What the package's own __init__ may import, every room may.
                depth = DEPTH[parts[1] if parts[1] != '__init__' else 'ops']
                wrong |= parts[1] != target[1] and DEPTH[target[1]] <= depth
            if wrong:
                found.append(f'{relative}:{line}: {source.splitlines()[line - 1].strip()}')
    return found


def test_every_room_has_its_layer(root):
    rooms = {path.parent.name for path in (root / PACKAGE).glob('*/__init__.py')}
    rooms |= {path.stem for path in (root / PACKAGE).glob('*.py')} - {'__init__'}
    assert rooms <= DEPTH.keys()


def test_no_import_runs_up_or_leaves_the_package(root):
    assert offences(root, PACKAGE, OUTSIDE) == []


@pytest.mark.parametrize('folder', ['tools', 'demo', 'benchmarks'])
def test_nobody_imports_a_project(root, folder):
    assert offences(root, folder, {'projects'}) == []


@pytest.mark.parametrize(
    'module, code',
    [
        ('models/x.py', 'from mmaction_emim.apis.complexity import cost'),
        ('models/x.py', 'from mmaction_emim import engine, ops'),
        ('models/motion/x.py', 'from ...evaluation import dump'),
        ('models/motion/__init__.py', 'from ... import apis'),
        ('datasets/x.py', 'def f():\n    import mmaction_emim.models.motion as motion'),
        ('engine/x.py', 'from mmaction_emim.evaluation import ClassReport'),
        ('compat/x.py', 'from ..ops import cost_volume'),
        ('__init__.py', 'from .models import MotionBackbone'),
        ('apis/x.py', 'from projects.motion_study import arms'),
        ('utils/x.py', 'import tools.train'),
        ('utils/x.py', 'from argparse import ArgumentParser'),
    ],
)
def test_a_wrong_import_is_found(tmp_path, module, code):
    path = tmp_path / PACKAGE / module
    path.parent.mkdir(parents=True)
    path.write_text(code)
    line = code.splitlines()[-1].strip()
    assert {f'{PACKAGE}/{module}:{code.count(chr(10)) + 1}: {line}'} == set(
        offences(tmp_path, PACKAGE, OUTSIDE)
    )


@pytest.mark.parametrize(
    'module, code',
    [
        ('apis/x.py', 'from mmaction_emim.evaluation import protocol'),
        ('models/motion/x.py', 'import mmaction_emim\nfrom mmaction_emim import __version__, ops'),
        ('models/motion/x.py', 'from ..weights import names\nfrom .. import models'),
        ('__init__.py', 'from . import compat'),
        ('datasets/x.py', 'import torch, mmaction.models, tools_of_others'),
    ],
)
def test_a_right_import_is_not(tmp_path, module, code):
    path = tmp_path / PACKAGE / module
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert offences(tmp_path, PACKAGE, OUTSIDE) == []
