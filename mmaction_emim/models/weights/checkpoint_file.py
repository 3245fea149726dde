"""Reads checkpoint files as data, whatever is in them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmaction_emim.utils.checkpoint_damage import archive_damage, no_checkpoint


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """What ``torch.save`` wrote, on the CPU; no code that it names is run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, holds other things than data, or no dict at its top.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type for entry in archive.infolist()):
                    raise ValueError('its entries are compressed, as those of torch.save never are')
        if problem := archive_damage(path):
            raise ValueError(f'it {problem}')
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # of any class, as the file is damaged
        raise no_checkpoint(path, error) from error
    if not isinstance(checkpoint, Mapping):
        kind = type(checkpoint).__name__
        raise ValueError(f'{path}: not a checkpoint of weights: expected a dict, got {kind}')
    return checkpoint
