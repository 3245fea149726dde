"""What is a cost volume worth on frozen image features? An experiment on cached maps."""

from pathlib import Path

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

ROOT = Path(__file__).resolve().parents[2]  # of the repository
