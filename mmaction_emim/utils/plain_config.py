"""Reads the text of a config without running it: MMEngine's ``Config.fromstring`` would."""

import ast
from typing import Any


def read_plain_config(text: str) -> dict[str, Any]:
    """The variables of a config as MMEngine writes it, ``cfg.pretty_text``.

    Args:
        text: Assignments of plain values, lists, tuples, dicts, ``dict(key=value)``,
            ``dict({…})``.

    Returns:
        Values by name; anything else in the text is an :class:`ast.AST`, which equals nothing.

    Raises:
        ValueError: The text is no Python.
    """
    try:
        statements = ast.parse(text).body
        return {
            target.id: _value(statement.value)
            for statement in statements
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f'not the text of a config: {error}') from error


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if not node.args and all(keyword.arg for keyword in node.keywords):
            return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords:
            return _value(node.args[0])
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: _value(value) for key, value in pairs}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return node
