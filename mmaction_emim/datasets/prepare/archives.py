"""Unpacks the datasets' tar archives, also those that were split into parts, and resumes."""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress

DONE = '.unpacked'  # in the folder: which archives it holds, one a line
# Clips and frames are compressed already: no real archive of them holds more than this.
LARGEST_RATIO = 20  # of the bytes it holds to its own
SMALLEST_MEMBER = 100  # bytes of the archive
LARGEST_READ = 1 << 20  # bytes at once: of a file's contents, and more than any header has
NAME_MAX = 255  # bytes, of file systems


class ArchiveError(ValueError):
    """An archive is not whole; the message names the file."""


class _Parts(io.RawIOBase):
    """The parts of a split file, read as one."""

    def __init__(self, paths: Sequence[Path], progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task('Unpacking', total=sum(p.stat().st_size for p in paths))
        self._paths = list(paths)
        self.current, self._file = None, None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while True:
            if self._file is None:
                if not self._paths:
                    return 0
                self.current = self._paths.pop(0)
                self._file = open(self.current, 'rb')  # noqa: SIM115  closed when it is read
            if count := self._file.readinto(buffer):
                self.progress.advance(self.task, count)
                return count
            self._file.close()
            self._file = None


class _SmallReads:
    """A tar file's stream that refuses headers which would fill the memory."""

    def __init__(self, stream: Any, path: str) -> None:
        self._stream, self._path = stream, path

    def read(self, size: int) -> bytes:
        if size > LARGEST_READ:
            raise ArchiveError(
                f'{self._path}: a header in it has {size:,} bytes, where names and dates take less '
                f'than {LARGEST_READ:,}: not the official archive'
            )
        return self._stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Archive(tarfile.TarFile):
    def __init__(self, name: str, mode: str, fileobj: Any, **kwargs: Any) -> None:
        super().__init__(name, mode, _SmallReads(fileobj, name), **kwargs)


def _decompressed(stream: io.BufferedReader) -> IO[bytes]:
    """As ``r|*`` does, which decompresses what it reads at once: some bytes can be gigabytes."""
    start = stream.peek(6)
    if start.startswith(b'\x1f\x8b'):
        return gzip.GzipFile(fileobj=stream)
    if start.startswith(b'BZh'):
        return bz2.BZ2File(stream)
    if start.startswith((b'\xfd7zXZ\0', b']\0\0')):
        return lzma.LZMAFile(stream)
    return stream


def find_parts(folder: Path, pattern: str) -> list[Path]:
    """The parts of a split archive in their order.

    Args:
        pattern: Regular expression of the parts' names; its group is the part's number.

    Raises:
        ArchiveError: A part between two others is missing.
    """
    found = {}
    for path in sorted(folder.rglob('*')):
        if (match := re.fullmatch(pattern, path.name)) and path.is_file():
            number = int(match[1])
            if number in found:
                raise ArchiveError(f'{path}: the same part as {found[number]}; keep one of them')
            found[number] = path
    missing = set(range(max(found, default=-1) + 1)) - set(found)
    if missing:
        raise ArchiveError(f'{folder}: part {min(missing):02} is missing of {pattern}')
    return [found[number] for number in sorted(found)]


def unpack(parts: Sequence[Path], out: Path, suffixes: Collection[str], depth: int) -> None:
    """Unpack a tar archive, of any compression and in any number of parts.

    A file has its final name only once it is whole; files that are there already are kept, and an
    archive that was unpacked completely is not read again.

    Args:
        parts: In their order.
        out: Folder.
        suffixes: Suffixes of the files to unpack, such as ``{'.webm'}``; capitals in an archive
            become small.
        depth: How many parts of a file's path are kept: 1 is its name, 2 folder and name.

    Raises:
        ArchiveError: The archive is damaged or cut short (what was whole is unpacked), a name in it
            leads out of ``out``, it holds far more than clips or frames can, a file cannot be
            written, or the disk is full.
    """
    done = out / DONE
    packed = sum(path.stat().st_size for path in parts)
    mark = ' '.join(f'{path.name}:{path.stat().st_size}' for path in parts)
    if done.exists() and mark in done.read_text(errors='replace').splitlines():
        return
    out.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True)) as progress:
        stream = _Parts(parts, progress)
        size = 0
        try:
            whole = _decompressed(io.BufferedReader(stream, 1 << 20))
            with _Archive.open(str(parts[0]), 'r|', whole, 1 << 16) as archive:
                for count, member in enumerate(archive):
                    archive.members = []  # which holds all that was read
                    size += member.size
                    _check_amount(parts[0], packed, max(size, member.offset_data), count)
                    name = PurePosixPath(member.name)
                    # Lists and datasets know frames by names such as 00001.jpg.
                    name = name.with_name(name.stem + name.suffix.lower()) if name.name else name
                    wanted = member.isfile() and name.suffix in suffixes
                    if not wanted or name.name.startswith('.'):
                        continue
                    target = out / _inside(parts[0], name, depth)
                    try:
                        _extract(archive, member, target)
                    except OSError as error:
                        if error.errno is None:  # it is the archive's
                            raise
                        raise _not_written(parts[0], name, target, error) from error
        except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if getattr(error, 'errno', None):  # it is the disk's
                raise
            raise ArchiveError(
                f'{stream.current or parts[0]}: the archive is damaged or not whole here '
                f'({error}); download this part and those after it again'
            ) from error
    with open(done, 'a') as file:
        file.write(f'{mark}\n')


def _check_amount(path: Path, packed: int, size: int, count: int) -> None:
    """Refuse what would fill the disk."""
    if size > LARGEST_RATIO * packed + (1 << 20) or count > packed / SMALLEST_MEMBER + 1000:
        raise ArchiveError(
            f'{path}: {packed:,} bytes of archive hold {count:,} files of {size:,} bytes or more, '
            'far beyond what compressed clips or frames can: not the official archive'
        )


def _inside(path: Path, name: PurePosixPath, depth: int) -> Path:
    """The last ``depth`` parts of a member's name, relative to the folder."""
    kept = [part for part in name.parts if part != '/'][-depth:]
    if '..' in name.parts or any('\0' in x or len(os.fsencode(x)) > NAME_MAX for x in kept):
        raise ArchiveError(f'{path}: {str(name)[:80]!r} in it is no name for a file of a data set')
    return Path(*kept)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write a member; what is not whole, for whatever reason, does not stay."""
    if target.is_file() and target.stat().st_size == member.size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + '.part')
    try:
        with open(partial, 'wb') as file:
            shutil.copyfileobj(archive.extractfile(member), file, LARGEST_READ)
        if partial.stat().st_size != member.size:
            raise tarfile.ReadError('unexpected end of data')
        os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()


def _not_written(path: Path, name: PurePosixPath, target: Path, error: OSError) -> ArchiveError:
    if error.errno == errno.ENOSPC:
        return ArchiveError(f'{target}: no space left on the disk')
    return ArchiveError(f'{path}: {str(name)[:80]!r} in it cannot be written: {error}')
