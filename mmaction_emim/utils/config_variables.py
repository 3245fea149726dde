"""Variables at the top of a config, such as ``clip_len``, and the values that were made from them.

MMEngine reads base files before the config that derives from them, and a config before
``--cfg-options``: by then the old value is wherever it was used.
"""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .config_keys import config_files, read_keys

VARIABLES = {  # and the keys that they are used under alone
    'clip_len': ('clip_len',),
    'data_root': ('data_root',),
    'num_classes': ('num_classes',),
    'size': ('crop_size', 'scale'),
    'videos': ('video',),
}


def copies(cfg: Config, name: str, new: Any = None) -> dict[str, Any]:
    """What holds a variable's value under one of its keys.

    Args:
        cfg: The config.
        name: The variable's.
        new: What is to take the place of its value.

    Returns:
        By key, as ``--cfg-options`` takes it, the new value; of a tuple with it, such as ``scale``,
        the whole new tuple.
    """
    keys, old, found = VARIABLES.get(name, (name,)), cfg[name], {}
    for key, value in _leaves(cfg, whole=('scale', 'crop_size')):
        if _last(key) in keys:
            if isinstance(value, tuple):
                if old in value:
                    found[key] = tuple(new if part == old else part for part in value)
            elif value == old:
                found[key] = new
    return found


def complete_overrides(cfg: Config, overrides: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """``overrides``, where a new value of one of ``VARIABLES`` replaces all its copies.

    Args:
        cfg: The config before the overrides.
        overrides: Values by key, as ``--cfg-options`` gives them.
        used: Keys at the top of a config that are read when a run starts. They are no variables.

    Raises:
        ValueError: A variable that the config has already used in other ways; the message names
            the keys to give instead.
    """
    completed = {}
    for name in overrides.keys() & cfg.keys() - used:
        places = copies(cfg, name, overrides[name])
        if name in VARIABLES and places:
            completed |= places
            continue
        if isinstance(cfg[name], str):
            places = [key for key, value in _leaves(cfg) if value == cfg[name] and key != name]
        if places or name in VARIABLES:
            instead = f'; give {", ".join(places)}' if places else ''
            raise ValueError(f'--cfg-options {name}: the config has used it already{instead}')
    return {**completed, **overrides}  # a key that is given counts more than a variable


def check_variables(cfg: Config) -> None:
    """Refuse a config of which a file sets a variable that its base files have already used.

    Any variable that the base files alone read, not ``VARIABLES`` only. The copy of a config that a
    run leaves has no base file, and every value is there by itself.

    Raises:
        ValueError: Names file, line, variable and what keeps another value.
    """
    files = config_files(cfg)
    for number, file in enumerate(files):
        if not file.is_derived:
            continue
        sets = {name for base in files[:number] for name in base.sets}
        used = {name for base in files[:number] for name in base.reads} & sets - read_keys()
        later = {name for derived in files[number + 1 :] for name in derived.sets}
        alone = cfg if file is files[-1] else None  # as later files may change what it made
        for name, line in file.sets.items():
            if name in file.loads or name.startswith('_'):
                continue
            value = ''
            if name not in VARIABLES and name in used:
                why = 'the base file has used its own value already'
            elif name in VARIABLES and name not in later:
                alone = alone or Config.fromfile(file.name)
                why, value = _other_copies(alone, name), f' = {alone.get(name)!r}'
            else:
                continue
            if why:
                raise ValueError(
                    f'{file.name}:{line}: {name}{value} has no effect: {why}; docs/data.md says '
                    'how to derive'
                )


def _other_copies(cfg: Config, name: str) -> str:
    """What keeps another value than that of a variable; empty if nothing does."""
    if name not in VARIABLES[name] and not copies(cfg, name):
        keys = ' or '.join(VARIABLES[name])
        return f'no {keys} has it, since base files are read first'
    for key, value in _leaves(cfg):
        if _last(key) == name and value != cfg.get(name):
            return f'{key} is {value!r}, since base files are read first'
    return ''


def _leaves(node: Any, path: str = '', whole: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every value that is no dict and no list, with its key; tuples under ``whole`` are values."""
    if isinstance(node, tuple) and path.rpartition('.')[2] in whole:
        yield path[1:], node
        return
    if isinstance(node, (Config, dict)):
        children = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    else:
        yield path[1:], node
        return
    for key, child in children:
        yield from _leaves(child, f'{path}.{key}', whole)


def _last(key: str) -> str | None:
    """The last part of a key below the top."""
    parent, _, last = key.rpartition('.')
    return last if parent else None
