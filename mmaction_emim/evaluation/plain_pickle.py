"""Reads pickles as data: no code that one names is run."""

import io
import pickle
import pickletools
from collections.abc import Callable
from functools import partial
from typing import IO, Any

import numpy as np
import torch
from mmengine.fileio import register_handler
from mmengine.fileio.handlers import PickleHandler
from torch import Tensor

# What MMEngine's dump of tensors, arrays and plain values consists of, besides _REPLACED.
_ALLOWED = {
    ('collections', 'OrderedDict'),
    ('numpy', 'dtype'),
    *((f'numpy.{m}.multiarray', 'scalar') for m in ('core', '_core')),
    *((f'numpy.{m}.numeric', '_frombuffer') for m in ('core', '_core')),  # of no more than is there
}
_ARRAY = object()  # numpy.ndarray: named by pickles, not to be called


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


class _PlainPickleHandler(PickleHandler):
    def load_from_fileobj(self, file: IO, **kwargs: Any) -> Any:
        try:
            return load_plain(file.read())
        except Exception as error:
            raise pickle.UnpicklingError(f'a pickle that is not plain data: {error}') from error


def read_pickles_as_data() -> None:
    """Have ``mmengine.load``, for the rest of this process, run no code that a pickle names.

    By it MMAction2 reads dumps, and lists of clips such as those of skeletons.
    """
    register_handler(['pickle', 'pkl'])(_PlainPickleHandler)
