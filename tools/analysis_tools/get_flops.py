"""Parameters and GMACs of one view of a config's recognizer."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse

from mmengine.config import Config, DictAction

from mmaction_emim.apis import complexity
from mmaction_emim.evaluation.protocol import input_shape
from mmaction_emim.utils.command_line import check_overrides, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        help='H W, T H W, or 1 3 T H W; what is not given is as in the test pipeline',
    )
    parser.add_argument(
        '--run',
        action='store_true',
        help='compute on real tensors, for networks whose path depends on values',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(check_overrides(cfg, args.cfg_options))
    shape = args.shape or ()
    if len(shape) not in (0, 2, 3, 5):
        raise ValueError(f'--shape: give H W, T H W, or 1 3 T H W, got {shape}')
    if len(shape) < 3:
        shape = (*input_shape(cfg)[: 3 - len(shape)], *shape)
    parameters, macs = complexity(cfg.model, tuple(shape[-3:]), args.run)
    print(f'one view    {" x ".join(map(str, shape[-3:]))} (T x H x W)')
    print(f'parameters  {parameters / 1e6:.2f} M')
    print(f'GMACs       {macs / 1e9:.1f}')


if __name__ == '__main__':
    run(main)
