"""Convert a checkpoint of EMIM-UniFormer's authors to ours, or with --reverse ours to theirs."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
from conversion import main

from mmaction_emim.utils.command_line import run

if __name__ == '__main__':
    run(lambda: main(__doc__, emim=True))
