"""Run a tool of MMAction2's on this stack.

    python tools/upstream.py confusion_matrix CONFIG CHECKPOINT --show-path matrix.png
    python tools/upstream.py analysis_tools/confusion_matrix …    # the same
    python tools/upstream.py ../mmaction2/demo/demo_inferencer.py …

What follows the tool's name goes to the tool. docs/upstream_tools.md lists them all.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import runpy
import sys

from mmaction_emim.evaluation.plain_pickle import read_pickles_as_data
from mmaction_emim.utils.checkpoint_damage import check_whole
from mmaction_emim.utils.command_line import find_upstream_tool, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('tool', help="its name, its path in MMAction2's tools, or any path")
    parser.add_argument('arguments', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    path = find_upstream_tool(args.tool)
    for argument in args.arguments:
        check_whole(argument)  # a checkpoint that the tool may load, and write again
    read_pickles_as_data()
    sys.argv = [str(path), *args.arguments]
    sys.path[0] = str(path.parent)
    runpy.run_path(str(path), run_name='__main__')


if __name__ == '__main__':
    run(main)
