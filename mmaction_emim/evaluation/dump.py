"""Reads what ``tools/test.py --dump`` wrote, as data: no code that a pickle names is run."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

# What MMEngine's dump of tensors, arrays and plain values consists of.
_ALLOWED = {
    ('_codecs', 'encode'),
    ('collections', 'OrderedDict'),
    ('torch._utils', '_rebuild_tensor_v2'),
    ('numpy', 'dtype'),
    ('numpy', 'ndarray'),
    *((f'numpy.{m}.multiarray', f) for m in ('core', '_core') for f in ('scalar', '_reconstruct')),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return _load_storage  # torch's own loads with weights_only=False
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it holds {module}.{name}, which is not data')
        return super().find_class(module, name)


def _load_storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)


def load_dump(path: Path) -> list[dict]:
    """The data samples: ``pred_score`` (classes,), ``gt_label`` (1,), ``video_id``, ``failed``.

    The last two are there where a dataset of this project was tested, ``failed`` where it is True.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is none that ``tools/test.py --dump`` writes.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        results = _Unpickler(io.BytesIO(data)).load()
    except Exception as error:
        why = ' '.join(str(error).split())  # torch's and pickle's take several lines
        raise ValueError(f'{path}: not a dump of tools/test.py: {why}') from error
    fields = {'pred_score', 'gt_label'}
    if not isinstance(results, list) or not results:
        raise ValueError(f'{path}: not a dump of tools/test.py: expected a list of results')
    for number, result in enumerate(results):
        if not isinstance(result, dict) or not fields <= result.keys():
            raise ValueError(f'{path}: result {number} has no pred_score and gt_label')
    return results
