"""Convert a checkpoint of UniFormer's authors to ours, or with --reverse ours to theirs."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
from mmaction_emim.apis.command_line import run
from mmaction_emim.apis.convert import main

if __name__ == '__main__':
    run(lambda: main(__doc__, emim=False))
