"""What is wrong with a checkpoint file, in words."""

import os
import re
import zipfile
from pathlib import Path

_ARCHIVE = b'PK\x03\x04'  # how one of torch.save's begins, whole or not
_WHY = 300  # characters of the cause in an error


def damage(path: Path) -> str | None:
    """What is wrong with an archive that ``torch.save`` wrote; None where it is whole.

    It has a checksum of each tensor, which ``torch.load`` does not look at: a flipped bit would be
    loaded. One that was saved without them (``set_crc32_options(False)``) passes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            summed = any(entry.CRC for entry in archive.infolist())
            broken = archive.testzip() if summed else None
    except FileNotFoundError:
        return 'does not exist'
    except Exception as error:  # of any class, as the file is damaged
        return f'is no whole checkpoint ({first_line(error)})'
    return f'is damaged: the checksum of {broken} is wrong' if broken else None


def archive_damage(path: Path) -> str | None:
    """As :func:`damage`, of a file that begins as such an archive; None of anything else."""
    if not os.path.isfile(path):  # False, not an error, for what is no path at all
        return None
    with open(path, 'rb') as file:
        begins = file.read(len(_ARCHIVE))
    return damage(path) if begins == _ARCHIVE else None


def check_whole(path: str | Path) -> None:
    """Refuse a damaged checkpoint file; anything else than a local archive passes.

    Raises:
        ValueError: Names the file and what is wrong.
    """
    if problem := archive_damage(Path(path)):
        raise ValueError(f'{path} {problem}')


def not_plain_data(text: str) -> str | None:
    """What torch says in the midst of its advice to load with ``weights_only=False``.

    Args:
        text: Message of an error of ``torch.load``.

    Returns:
        What the checkpoint does, such as 'holds os.system, …'; None where torch says none of it.
    """
    if unsafe := re.search(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', text):
        return (
            f'holds {unsafe[1]}, which is not plain data and could run code: it is not loaded; '
            'save its weights alone'
        )
    if reason := re.search(r'WeightsUnpickler error:\s*(.+)', text):
        return f'cannot be loaded as plain data: {reason[1]}'
    return None


def no_checkpoint(path: str | Path, error: Exception) -> ValueError:
    """The error that names the file which ``torch.load`` could not read, and why, in one line."""
    problem = not_plain_data(str(error))
    why = f'it {problem}' if problem else first_line(error)
    return ValueError(f'{path}: not a checkpoint of weights: {why[:_WHY]}')


def first_line(error: Exception) -> str:
    """An error's first line that is not empty, or its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0]
