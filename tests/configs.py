"""The configs that are shipped, each read once; whoever changes one takes a copy."""

import re
from functools import cache
from pathlib import Path
from unittest.mock import patch

from mmengine.config import Config, utils

from .conftest import ROOT

FOLDER = ROOT / 'configs'
PATHS = sorted(FOLDER.rglob('*.py'))
BASES = [path for path in PATHS if '_base_' in path.parts]
# A folder of configs with a README is a collection of the model zoo.
COLLECTIONS = sorted(path.parent for path in FOLDER.glob('*/README.md'))
# MMEngine reads every metafile of MMAction2 for each of its configs that one derives from.
_read_once = cache(utils.load)


@cache
def config(path: Path) -> Config:
    with patch.object(utils, 'load', _read_once):
        return Config.fromfile(path)


def is_swap(path: Path) -> bool:
    """Whether a config's backbone is a MotionBackbone, from the text of its folder alone.

    So that tests are found without reading configs; test_configs.py compares.
    """
    text = path.read_text()
    bases = re.findall(r"'([^/':]+\.py)'", text)
    return "type='MotionBackbone'" in text or any(is_swap(path.with_name(base)) for base in bases)


def path_id(path: Path) -> str:
    """The id of a test."""
    return str(path.relative_to(FOLDER).with_suffix(''))
