"""Checkpoints that are never half there."""

import os
from contextlib import suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend('atomic')
class AtomicLocalBackend(LocalBackend):
    """MMEngine's ``LocalBackend`` that writes beside a file and then takes its place.

    With ``default_hooks.checkpoint.backend_args=dict(backend='atomic')`` a full disk or a killed
    process leaves the checkpoints that were there, and no half one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``.

        Raises:
            OSError: It cannot be written; the file is as before.
        """
        partial = Path(f'{filepath}.part')
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise OSError(
                error.errno, f'{error.strerror}, {len(obj):,} bytes', str(filepath)
            ) from error
        os.replace(partial, filepath)
