"""Files that are never half there."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(path.name + '.part')
    partial_path.write_text(text, encoding='utf-8')
    os.replace(partial_path, path)
