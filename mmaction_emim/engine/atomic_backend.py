"""Checkpoints that are never half there."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmaction_emim.utils.files import write_bytes


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
        write_bytes(Path(filepath), obj)
