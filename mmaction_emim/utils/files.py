"""Files that are never half there, and text whose errors name it."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_text(path: Path, error: type[ValueError] = ValueError) -> str:
    """A file's UTF-8 text, without a byte order mark.

    Args:
        path: The file.
        error: What is raised where it is no such text.

    Raises:
        ValueError: ``error``; the message starts with ``file:line:``.
    """
    data = path.read_bytes()
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as cause:
        # The position is in the text after a byte order mark, which holds no line break.
        line = cause.object.count(b'\n', 0, cause.start) + 1
        raise error(f'{path}:{line}: expected UTF-8 text: {cause.reason}') from None


def walk(
    folder: Path, _inside: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all folders below it, each with the names of the files that lie there, sorted.

    Hidden files and folders, whose names begin with a dot, are left out. Links to folders are
    followed; one that leads to a folder around it is left out, since it would have no end.

    Raises:
        OSError: A folder cannot be read.
    """
    stat = folder.stat()
    inside = (*_inside, (stat.st_dev, stat.st_ino))
    if inside[-1] in _inside:
        return
    with os.scandir(folder) as entries:
        seen = sorted((x.name, x.is_dir()) for x in entries if not x.name.startswith('.'))
    yield folder, [name for name, is_folder in seen if not is_folder]
    for name, is_folder in seen:
        if is_folder:
            yield from walk(folder / name, inside)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is never half there.

    Raises:
        ValueError: The text holds what is not Unicode, as names of files may.
    """
    try:
        data = text.encode('utf-8')
    except UnicodeEncodeError as cause:
        line = text[text.rfind('\n', 0, cause.start) + 1 :].split('\n')[0]
        raise ValueError(f'{path}: cannot be written as UTF-8 text: {line!a}') from None
    write_bytes(path, data)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` file so that it is never half there."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    write_bytes(path, file.getbuffer())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an ``.npz`` file so that it is never half there."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    write_bytes(path, file.getbuffer())


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside ``path``, ``….part``, that then takes its place: it is never half there.

    Raises:
        OSError: It cannot be written; the file is as before.
    """
    partial = path.with_name(path.name + '.part')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(partial, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        size = f', {len(data):,} bytes' if error.errno in _NO_ROOM else ''
        raise OSError(error.errno, f'{error.strerror}{size}', str(path)) from error
