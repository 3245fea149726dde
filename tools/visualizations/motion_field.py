"""What motion modules see in a clip: where EMIM's affinity says that each patch goes, and more.

python tools/visualizations/motion_field.py CONFIG CHECKPOINT CLIP --out field.png   # or .gif, .mp4
python tools/visualizations/motion_field.py CONFIG CHECKPOINT CLIP --show cost-volume --token 3 4
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from mmaction_emim.apis import MotionInferencer
from mmaction_emim.models.motion import (
    AlignmentGuidedTemporalAttention,
    EMIMAttention,
    MotionAwareAttention,
)
from mmaction_emim.ops import MotionField
from mmaction_emim.utils.command_line import run
from mmaction_emim.visualization import (
    attention_figure,
    check_suffix,
    cost_volume_figure,
    draw_tracks,
    input_frames,
    motion_field_clip,
    motion_field_sheet,
    motion_layers,
    record_affinities,
    record_attention,
    record_motion_fields,
    record_tracks,
    tile,
    write_pictures,
)
from mmaction_emim.visualization.motion_field import STYLES

LAYERS = {
    'field': EMIMAttention,
    'cost-volume': EMIMAttention,
    'attention': MotionAwareAttention,
    'tracks': AlignmentGuidedTemporalAttention,
}
ONE_PICTURE = ('cost-volume', 'attention')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='file, or name as emim_sthv2')
    parser.add_argument('checkpoint')
    parser.add_argument('clip', help='a video, or a folder of frames')
    parser.add_argument(
        '--out', type=Path, default=Path('motion_field.png'), help='default %(default)s'
    )
    parser.add_argument(
        '--show',
        choices=LAYERS,
        help="EMIM's motion field (default) or the cost volume of a token; M2A's attention over "
        "time; ATA's tracks (the default of networks that have nothing else)",
    )
    parser.add_argument('--layer', help='default: the first; another name lists them')
    parser.add_argument('--head', type=int, help='default: the mean of all')
    parser.add_argument('--view', type=int, default=0, help='of the test; default 0, the first')
    parser.add_argument('--style', choices=STYLES, help='of the field; default arrows')
    parser.add_argument('--token', type=int, nargs=2, metavar=('ROW', 'COLUMN'))
    parser.add_argument('--pair', type=int, help='of frames, for the cost volume; default 0')
    parser.add_argument('--fps', type=float, help='of .gif and .mp4; default 4')
    parser.add_argument('--device', help='default: a GPU where there is one')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_suffix(args.out)
    inferencer = MotionInferencer(args.config, args.checkpoint, args.device, show_progress=False)
    model = inferencer.model
    kinds = {type(module) for module in model.modules()}
    show = args.show or next((show for show, kind in LAYERS.items() if kind in kinds), 'field')
    check_options(args, show)
    layer = args.layer or motion_layers(model, LAYERS[show])[0]
    record = {
        'field': lambda: record_motion_fields(model, args.head, layer),
        'cost-volume': lambda: record_affinities(model, layer),
        'attention': lambda: record_attention(model, layer),
        'tracks': lambda: record_tracks(model, layer),
    }[show]
    inputs = inferencer.load(args.clip)
    with record() as recorded:
        scores = inferencer.view_scores([inputs])[0]
    best = inferencer.predict(args.clip, scores)
    found = recorded[layer]
    views = len(found[0] if isinstance(found, MotionField) else found)
    if not 0 <= args.view < views:
        raise ValueError(f'--view must be from 0 to {views - 1}, got {args.view}')
    frames = input_frames(inputs, views)[args.view]
    if show == 'field':
        one = MotionField(*(part[args.view] for part in found))
        pictures = field_pictures(args, frames, one)
    elif show == 'tracks':
        pictures = draw_tracks(frames, found[args.view])
        pictures = [tile(pictures)] if is_png(args.out) else pictures
    else:
        matrix_figure(args, show, frames, found[args.view], model.get_submodule(layer)).savefig(
            args.out, dpi=110
        )
        pictures = None
    if pictures is not None:
        write_pictures(pictures, args.out, args.fps or 4)
    print(f'{args.clip}: {best.name}, {best.probability:.3f}')
    print(f'{show} of {layer}: {args.out}')


def is_png(path: Path) -> bool:
    return path.suffix.lower() == '.png'


def check_options(args: argparse.Namespace, show: str) -> None:
    """Refuse options that what is shown does not read."""
    read = {
        '--head': show in ('field', 'cost-volume'),
        '--style': show == 'field',
        '--token': show == 'cost-volume',
        '--pair': show == 'cost-volume',
        '--fps': not is_png(args.out),
    }
    for option, is_read in read.items():
        if getattr(args, option[2:]) is not None and not is_read:
            raise ValueError(f'{option} has no effect on {show} in {args.out}; leave it out')
    if show == 'cost-volume' and not args.token:
        raise ValueError('--show cost-volume: give the token, --token ROW COLUMN')
    if show in ONE_PICTURE and not is_png(args.out):
        raise ValueError(f'{args.out}: {show} is one picture, a .png')


def field_pictures(args: argparse.Namespace, frames: np.ndarray, field: MotionField) -> list:
    style = args.style or 'arrows'
    if is_png(args.out):
        return [motion_field_sheet(frames, field, style=style, side=192)]
    return list(motion_field_clip(frames, field, style=style))


def matrix_figure(
    args: argparse.Namespace, show: str, frames: np.ndarray, found: Tensor, module: object
) -> Figure:
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if show == 'attention':
        return attention_figure(found, 'attention over time')
    return cost_volume_figure(frames, found, module.window, args.token, args.pair or 0, args.head)


if __name__ == '__main__':
    run(main)
