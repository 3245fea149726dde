"""A folder of feature maps: what a backbone answered on the clips of a list, a file a clip.

``FOLDER/maps.json`` says what they were made of, ``FOLDER/NAME.npy`` holds a clip's maps,
``FOLDER/failed.json`` the clips that could not be read, and why. The list is beside the folder.
"""

import io
import json
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from mmaction_emim.utils.files import read_text

DTYPES = ('float16', 'float32')
ABOUT, FAILED = 'maps.json', 'failed.json'
LARGEST = 1 << 20  # of any number in maps.json


class MapShape(NamedTuple):
    """Shape of a clip's file.

    Attributes:
        draws: How often the pipeline drew the clip.
        crops: Clips and crops that one draw gives: the views of a test, 1 in training.
        T: Frames.
        C: Channels.
        H: Rows.
        W: Columns.
    """

    draws: int
    crops: int
    T: int
    C: int
    H: int
    W: int

    def __str__(self) -> str:
        crops = f' x {self.crops} crops' if self.crops > 1 else ''
        views = 'view' if self.draws == 1 else 'views'
        return f'{self.draws} {views}{crops} of {self.T} x {self.C} x {self.H} x {self.W}'


class FeatureMaps:
    """Reads such a folder.

    Args:
        folder: Its path.

    Attributes:
        about: What ``maps.json`` says.
        shape: What every clip's file holds.
        dtype: ``'float16'`` or ``'float32'``.
        failed: Why a clip could not be read, by its name.

    Raises:
        FileNotFoundError: There is no ``maps.json``.
        ValueError: It is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / ABOUT
        if not path.is_file():
            raise FileNotFoundError(
                f'{path}: no feature maps are here; tools/extract_features.py --maps makes them'
            )
        self.about = read_json(path)
        shape, self.dtype = self.about.get('shape'), self.about.get('dtype')
        numbers = isinstance(shape, list) and all(type(n) is int for n in shape)
        if not numbers or len(shape) != 6 or not all(0 < n < LARGEST for n in shape):
            raise ValueError(f'{path}: shape must be six numbers above 0, got {shape!r}')
        if self.dtype not in DTYPES:
            raise ValueError(f'{path}: dtype must be float16 or float32, got {self.dtype!r}')
        self.shape = MapShape(*shape)
        self._header = _header(self.shape, self.dtype)
        failed = self.folder / FAILED
        self.failed: dict[str, str] = read_json(failed) if failed.is_file() else {}

    def __str__(self) -> str:
        made = f'{self.about.get("config")}, {self.about.get("checkpoint")}'
        return f'{self.folder}: {self.shape} (T x C x H x W), {self.dtype}, of {made}'

    def path(self, name: str) -> Path:
        """The file of a clip."""
        return self.folder / map_file(name)

    def missing(self, names: list[str]) -> list[str]:
        """The clips of a list that have no file and did not fail."""
        there = found_files(self.folder)
        return [x for x in names if map_file(x) not in there and x not in self.failed]

    def read(self, name: str, draw: int = 0) -> np.ndarray:
        """Maps of one draw of a clip, (crops, T, C, H, W).

        Raises:
            OSError, ValueError: They cannot be read, or are not as ``maps.json`` says.
        """
        if name in self.failed:
            raise ValueError(f'its maps could not be made: {self.failed[name]}')
        if not 0 <= draw < self.shape.draws:
            raise ValueError(f'draw must be 0 to {self.shape.draws - 1}, got {draw}')
        path, shape = self.path(name), self.shape[1:]
        count = int(np.prod(shape))
        size = count * np.dtype(self.dtype).itemsize
        with open(path, 'rb') as file:
            # Compared, not parsed: numpy.load's parser raises what it likes of a damaged one.
            header = file.read(len(self._header))
            if (
                header != self._header
                or os.path.getsize(path) != len(header) + self.shape.draws * size
            ):
                raise ValueError(
                    f'{path}: damaged, or no maps {tuple(self.shape)} {self.dtype}, as {ABOUT} says'
                )
            file.seek(draw * size, os.SEEK_CUR)
            return np.fromfile(file, self.dtype, count).reshape(shape)


def _header(shape: MapShape, dtype: str) -> bytes:
    """How a ``.npy`` file of such an array begins."""
    file = io.BytesIO()
    said = dict(descr=np.dtype(dtype).str, fortran_order=False, shape=tuple(shape))
    np.lib.format.write_array_header_1_0(file, said)
    return file.getvalue()


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        ValueError: It is no JSON object.
    """
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}: not JSON: {error}') from None
    if not isinstance(found, dict):
        raise ValueError(f'{path}: expected a JSON object, got {type(found).__name__}')
    return found


def map_file(name: str) -> str:
    """A clip's file below its folder; a name that leads elsewhere is quoted.

    Args:
        name: As in the list: a path of a video or of a folder of frames.
    """
    plain = name == os.path.normpath(name) and '%' not in name and not os.path.isabs(name)
    return f'{name if plain and ".." not in Path(name).parts else quote(name, safe="")}.npy'


def found_files(folder: Path) -> set[str]:
    """Finished files below a folder, as :func:`map_file` names them."""
    return {
        os.path.relpath(os.path.join(place, file), folder)
        for place, _, files in os.walk(folder)
        for file in files
        if file.endswith('.npy')
    }
