"""Configs by the names that model zoos give them."""

import copy
import importlib.util
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from mmengine.config import Config

from .config_variables import check_variables


def read_config(config: str | Path | Config) -> Config:
    """The config of a file or of a name, as :func:`find_config`; a copy of one that is given.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No config has this name, or the file sets a variable without effect, as
            :func:`.check_variables` finds it.
        TypeError: The argument is none of these.
    """
    if isinstance(config, Config):
        return copy.deepcopy(config)
    if not isinstance(config, str | Path):
        raise TypeError(f'config: a file, a name or a Config is needed, got {type(config)}')
    cfg = Config.fromfile(find_config(config))
    check_variables(cfg)
    return cfg


def find_config(name: str | Path) -> Path:
    """The file that a path or a name means.

    A name is that of a config file without ``.py``, of this project or of MMAction2, ours first:
    ``emim_sthv2``, ``tsn-emim_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb``.

    Raises:
        FileNotFoundError: The name has a suffix or a folder, and there is no such file.
        ValueError: No config has this name; the message has the closest ones.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == '.py' or len(path.parts) != 1:
        raise FileNotFoundError(f'{name}: no such config file')
    names = {path.stem: path for path in _configs()}
    if str(name) in names:
        return names[str(name)]
    close = get_close_matches(str(name), sorted(names), n=3)
    hint = f'; did you mean {" or ".join(close)}?' if close else ''
    raise ValueError(f'{name!r} is no config file and no name of a config{hint}')


def _configs() -> Iterator[Path]:
    """All config files, those that count least first."""
    for package in ('mmaction', 'mmaction_emim'):
        if folder := config_folder(package):
            paths = (path for path in folder.rglob('*.py') if '_base_' not in path.parts)
            yield from sorted(paths, reverse=True)


def config_folder(package: str) -> Path | None:
    """A package's configs, as OpenMIM installs them, else beside it as in a checkout."""
    root = Path(importlib.util.find_spec(package).origin).parent
    folders = [root / '.mim' / 'configs', root.parent / 'configs']
    return next((folder for folder in folders if folder.is_dir()), None)
