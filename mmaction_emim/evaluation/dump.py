"""Reads what ``tools/test.py --dump`` wrote, as data: no code that a pickle names is run."""

import io
import pickle
import pickletools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmaction_emim.utils.finite import check_finite

# What MMEngine's dump of tensors, arrays and plain values consists of, besides _REPLACED.
_ALLOWED = {
    ('collections', 'OrderedDict'),
    ('numpy', 'dtype'),
    *((f'numpy.{m}.multiarray', 'scalar') for m in ('core', '_core')),
}
_ARRAY = object()  # numpy.ndarray: named by pickles, not to be called
_WHY = 300  # characters of the cause in an error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return partial(_rebuild_tensor, super().find_class(module, name))
        if (module, name) in _REPLACED:
            return _REPLACED[module, name]
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it holds {module}.{name}, which is not data')
        return super().find_class(module, name)


def _load_storage(data: bytes) -> Any:
    """In the place of torch's own, which loads with ``weights_only=False``."""
    if data[:2] == b'PK':  # torch writes storages so since 1.6, but never within a pickle
        raise pickle.UnpicklingError(
            'a tensor in it is a zip archive, which may unfold to any size'
        )
    return torch.load(io.BytesIO(data), weights_only=True)


def _rebuild_tensor(rebuild: Callable, *parts: Any) -> Tensor:
    """As torch's, but of no more elements than it has numbers."""
    tensor = rebuild(*parts)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise pickle.UnpicklingError(f'it holds a tensor {tuple(tensor.shape)} of fewer numbers')
    return tensor


def _rebuild_array(kind: Any, shape: tuple, dtype: Any) -> np.ndarray:
    """As NumPy's, which pickles give an empty shape; what comes next fills it."""
    if kind is not _ARRAY or shape != (0,):
        raise pickle.UnpicklingError(f'it holds an array that starts as {kind} {shape}')
    return np.empty(0, np.int8)


def _encode(text: str, encoding: str) -> bytes:
    """How old protocols hold bytes; other codecs may take minutes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds text in the codec {encoding!r}')
    return text.encode(encoding)


_REPLACED = {
    ('torch.storage', '_load_from_bytes'): _load_storage,
    ('numpy', 'ndarray'): _ARRAY,
    ('_codecs', 'encode'): _encode,
    **{(f'numpy.{m}.multiarray', '_reconstruct'): _rebuild_array for m in ('core', '_core')},
}


def _check_memo(data: bytes) -> None:
    """Python's unpickler makes room for any number of an entry of its memo, gigabytes of it."""
    for code, argument, _ in pickletools.genops(data):
        if code.name in ('PUT', 'BINPUT', 'LONG_BINPUT') and argument > len(data):
            raise pickle.UnpicklingError(f'its memo has an entry {argument}')


def load_plain(data: bytes) -> Any:
    """What a pickle holds, where that is plain values, arrays and tensors.

    Raises:
        Exception: Of several classes: it holds something else, or is damaged.
    """
    _check_memo(data)
    return _Unpickler(io.BytesIO(data)).load()


def load_dump(path: Path) -> list[dict]:
    """The data samples: ``pred_score`` (classes,), ``gt_label`` (1,), ``video_id``, ``failed``.

    ``gt_label`` is int64, or float32 (classes,), 0 and 1, of clips with several labels
    (:func:`has_several_labels`). The last two are there where a dataset of this project was tested,
    ``failed`` where it is True.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is none that ``tools/test.py --dump`` writes, or holds scores that are
            not finite.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        results = load_plain(data)
    except Exception as error:
        why = ' '.join(str(error).split())[:_WHY]  # torch's and pickle's take several lines
        raise ValueError(f'{path}: not a dump of tools/test.py: {why}') from error
    fields = {'pred_score', 'gt_label'}
    if not isinstance(results, list) or not results:
        raise ValueError(f'{path}: not a dump of tools/test.py: expected a list of results')
    shape = None
    for number, result in enumerate(results):
        if not isinstance(result, dict) or not fields <= result.keys():
            raise ValueError(f'{path}: result {number} has no pred_score and gt_label')
        score, label = result['pred_score'], result['gt_label']
        shape = getattr(score, 'shape', None) if shape is None else shape
        if not (_is(score, Tensor.is_floating_point) and score.dim() and score.shape == shape):
            raise ValueError(
                f'{path}: pred_score of result {number} must be a tensor of one score a class, as '
                'all of them are'
            )
        one = _is(label, lambda x: x.dtype == torch.int64 and x.numel())
        several = _is(label, Tensor.is_floating_point) and label.shape == score.shape[-1:]
        if not (one or (several and bool(((label == 0) | (label == 1)).all()))):
            raise ValueError(f'{path}: gt_label of result {number} must be a tensor of labels')
        if not isinstance(result.get('video_id', ''), str):
            raise ValueError(f'{path}: video_id of result {number} must be a text')
        if not result.get('failed'):
            try:
                check_finite(score, result.get('video_id', f'result {number}'))
            except FloatingPointError as error:
                raise ValueError(f'{path}: {error}') from None
    return results


def has_several_labels(results: Sequence[dict]) -> bool:
    """Whether ``gt_label`` of these data samples has a 0 or 1 for each class."""
    return results[0]['gt_label'].is_floating_point()


def _is(value: Any, condition: Any) -> bool:
    return isinstance(value, Tensor) and bool(condition(value))
