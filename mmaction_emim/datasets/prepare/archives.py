"""Unpacks the datasets' tar archives, also those that were split into parts, and resumes."""

import gzip
import io
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import Progress

DONE = '.unpacked'  # in the folder: which archives it holds, one a line


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
        suffixes: Suffixes of the files to unpack, such as ``{'.webm'}``.
        depth: How many parts of a file's path are kept: 1 is its name, 2 folder and name.

    Raises:
        ArchiveError: The archive is damaged or cut short; what was whole is unpacked.
    """
    done = out / DONE
    mark = ' '.join(f'{path.name}:{path.stat().st_size}' for path in parts)
    if done.exists() and mark in done.read_text().splitlines():
        return
    out.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True)) as progress:
        stream = _Parts(parts, progress)
        try:
            with tarfile.open(fileobj=io.BufferedReader(stream, 1 << 20), mode='r|*') as archive:
                for member in archive:
                    name = PurePosixPath(member.name)
                    hidden = name.name.startswith('.') or '..' in name.parts
                    if not member.isfile() or hidden or name.suffix not in suffixes:
                        continue
                    target = out.joinpath(*name.parts[-depth:])
                    if target.exists() and target.stat().st_size == member.size:
                        continue
                    target.parent.mkdir(parents=True, exist_ok=True)
                    partial = target.with_name(target.name + '.part')
                    with open(partial, 'wb') as file:
                        shutil.copyfileobj(archive.extractfile(member), file, 1 << 20)
                    if partial.stat().st_size != member.size:
                        raise tarfile.ReadError('unexpected end of data')
                    os.replace(partial, target)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ArchiveError(
                f'{stream.current or parts[0]}: the archive is damaged or not whole here '
                f'({error}); download this part and those after it again'
            ) from error
    with open(done, 'a') as file:
        file.write(f'{mark}\n')
