"""The configs that are shipped, each read once; whoever changes one takes a copy."""

from functools import cache
from pathlib import Path

from mmengine.config import Config

from .conftest import ROOT

FOLDER = ROOT / 'configs'
PATHS = sorted(FOLDER.rglob('*.py'))
BASES = [path for path in PATHS if '_base_' in path.parts]
# A folder of configs with a README is a collection of the model zoo.
COLLECTIONS = sorted(path.parent for path in FOLDER.glob('*/README.md'))


@cache
def config(path: Path) -> Config:
    return Config.fromfile(path)


def is_swap(path: Path) -> bool:
    """Whether a config's backbone is a MotionBackbone."""
    return config(path).model.backbone.type == 'MotionBackbone'


def path_id(path: Path) -> str:
    """The id of a test."""
    return str(path.relative_to(FOLDER).with_suffix(''))
