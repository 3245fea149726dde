"""The backbone's features: a vector a window of videos, or maps of a config's lists to train on.

    python tools/extract_features.py CONFIG CHECKPOINT videos/ --out features --stride 8
    python tools/extract_features.py CONFIG CHECKPOINT clips.txt --out features --whole
    python tools/extract_features.py CONFIG CHECKPOINT --maps --out data/maps --views 4 --pool 7 7

CHECKPOINT may be none: the weights that the config itself names. What is there already is kept.
docs/features.md says what is written, and how to train on maps.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger

from mmaction_emim.apis import extract_features, extract_maps
from mmaction_emim.utils.command_line import check_overrides, run
from mmaction_emim.utils.config_names import read_config

OF_VIDEOS = ('whole', 'span', 'stride', 'stage', 'format', 'root')
OF_MAPS = ('splits', 'views', 'no_augment', 'pool', 'dtype', 'level', 'seed', 'workers')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='file, or name as emim_k400')
    parser.add_argument('checkpoint', help="file or address; none: the config's own weights")
    parser.add_argument('input', nargs='?', help='video, folder or .txt list; not with --maps')
    parser.add_argument('--out', type=Path, required=True, help='folder')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--batch-size', type=int, help='windows or clips; default: 4, maps 8')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='KEY=VALUE ...')
    # Without defaults, so that one that has no effect can be refused.
    videos = parser.add_argument_group('of videos', argument_default=argparse.SUPPRESS)
    videos.add_argument('--whole', action='store_true', help='a video is one window')
    videos.add_argument('--span', type=int, help="frames of a window; default: the config's")
    videos.add_argument('--stride', type=int, help='frames between windows; default: span / 4')
    videos.add_argument('--stage', help='neck (default) or backbone')
    videos.add_argument('--format', help='npz (default), npy or csv')
    videos.add_argument('--root', help="what a list's paths are relative to; default: its folder")
    parser.add_argument('--maps', action='store_true', help="feature maps of the config's lists")
    maps = parser.add_argument_group('with --maps', argument_default=argparse.SUPPRESS)
    maps.add_argument('--splits', nargs='+', metavar='SPLIT', help='default: train val test')
    maps.add_argument('--views', type=int, help='draws of a training clip; default: 1')
    maps.add_argument(
        '--no-augment', action='store_true', help="training clips by val_dataloader's pipeline"
    )
    maps.add_argument('--pool', type=int, nargs=2, metavar=('H', 'W'), help='a smaller grid')
    maps.add_argument('--dtype', help='float16 (default) or float32')
    maps.add_argument('--level', type=int, help='of several maps of a backbone, from 0')
    maps.add_argument('--seed', type=int, help='of the views; default: 0')
    maps.add_argument('--workers', type=int, help="processes that decode; default: the config's")
    args = parser.parse_args()
    if args.maps == (args.input is not None):
        raise ValueError('INPUT or --maps: one of them is needed')
    for name in OF_VIDEOS if args.maps else OF_MAPS:
        if hasattr(args, name):
            has = 'with' if args.maps else 'without'
            raise ValueError(f'--{name.replace("_", "-")} has no effect {has} --maps')
    MMLogger.get_instance('features', log_level='WARNING')
    cfg = read_config(args.config)
    cfg.merge_from_dict(check_overrides(cfg, args.cfg_options))
    checkpoint = None if args.checkpoint == 'none' else args.checkpoint
    (maps_of if args.maps else features_of)(cfg, checkpoint, args)


def options_of(args: argparse.Namespace, names: tuple[str, ...]) -> dict:
    given = {name: value for name, value in vars(args).items() if name in names}
    if args.batch_size is not None:
        given['batch_size'] = args.batch_size
    return given


def maps_of(cfg: Config, checkpoint: str | None, args: argparse.Namespace) -> None:
    options = options_of(args, OF_MAPS)
    augment = not options.pop('no_augment', False)
    reports = extract_maps(
        cfg, checkpoint, args.out, augment=augment, device=args.device, **options
    )
    if failed := sum(len(report.failed) for report in reports):
        raise ValueError(f'clips without maps: {failed}; {args.out}/*/failed.json says why')


def features_of(cfg: Config, checkpoint: str | None, args: argparse.Namespace) -> None:
    options = options_of(args, OF_VIDEOS)
    options['file_format'] = options.pop('format', 'npz')
    failed = kept = 0
    for report in extract_features(
        cfg, checkpoint, args.input, args.out, device=args.device, **options
    ):
        if report.error:
            failed += 1
            print(f'{report.name}: {report.error}', flush=True)
        elif report.windows is None:
            kept += 1
        else:
            print(f'{report.file}: {report.windows} windows', flush=True)
    if kept:
        print(f'kept, since they are there: {kept}')
    if failed:
        raise ValueError(f'videos without features: {failed}; see above')


if __name__ == '__main__':
    run(main)
