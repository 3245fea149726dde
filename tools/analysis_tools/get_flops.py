"""Parameters and GMACs of one view of a config's recognizer, and what motion modules add."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse

from mmengine.config import DictAction

from mmaction_emim.apis import complexity, without_motion
from mmaction_emim.evaluation.protocol import input_shape
from mmaction_emim.utils.command_line import check_overrides, run
from mmaction_emim.utils.config_names import read_config


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
        help='compute on real tensors throughout; networks whose path depends on values always are',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()

    cfg = read_config(args.config)
    cfg.merge_from_dict(check_overrides(cfg, args.cfg_options))
    shape = args.shape or ()
    if len(shape) not in (0, 2, 3, 5):
        raise ValueError(f'--shape: give H W, T H W, or 1 3 T H W, got {shape}')
    if len(shape) < 3:
        shape = (*input_shape(cfg)[: 3 - len(shape)], *shape)
    shape = tuple(shape[-3:])
    print(f'one view    {" x ".join(map(str, shape))} (T x H x W)')
    networks = {'': cfg.model}
    if (without := without_motion(cfg.model)) != cfg.model:
        networks[', without motion modules '] = without
    costs = {name: complexity(model, shape, args.run) for name, model in networks.items()}
    millions = (f'{name}{parameters / 1e6:.2f} M' for name, (parameters, _) in costs.items())
    gmacs = (f'{name}{macs / 1e9:.1f}' for name, (_, macs) in costs.items())
    print('parameters ', ''.join(millions))
    print('GMACs      ', ''.join(gmacs))


if __name__ == '__main__':
    run(main)
