"""One checkpoint from a backbone's and that of a neck and a head trained on its feature maps.

    python tools/convert/join_checkpoints.py CONFIG CHECKPOINT TRAINED OUT

CONFIG has the backbone, the neck and the head. CHECKPOINT may be none: the weights that it names.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

import torch

from mmaction_emim.apis import join_checkpoints
from mmaction_emim.utils.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='file, or name')
    parser.add_argument('checkpoint', help="the backbone's; none: the config's own weights")
    parser.add_argument('trained', help='checkpoint of the training on maps')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    args = parser.parse_args()
    checkpoint = None if args.checkpoint == 'none' else args.checkpoint
    torch.save(join_checkpoints(args.config, checkpoint, args.trained), args.out)
    print(args.out)


if __name__ == '__main__':
    run(main)
