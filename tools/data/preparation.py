"""What the prepare.py of the data sets share: arguments and exit status."""

import argparse
import os
from pathlib import Path

INCOMPLETE = 3  # exit status: lists are written, and the report holds clips that are not


def parser(description: str, out: str, videos: bool = True) -> argparse.ArgumentParser:
    """The arguments that all of them have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('download', type=Path, help='folder with the official files, at any depth')
    parser.add_argument('out', type=Path, nargs='?', default=Path(out), help='data_root')
    parser.add_argument('--splits', nargs='+', default=['train', 'val', 'test'], metavar='SPLIT')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    parser.add_argument('--subset', action='store_true', help='do not compare published counts')
    if videos:
        # Earlier: what read the clips that decord could not. Now it reads them all.
        parser.add_argument('--fallback', choices=['pyav'], help=argparse.SUPPRESS)
    return parser
