"""Parameters and GMACs of a training view, before and after the swap.

python tools/analysis_tools/swap_cost.py configs/emim/tsm-emim_*.py
python tools/analysis_tools/swap_cost.py            # all, the table in docs/swap.md
"""

import argparse
import warnings
from contextlib import nullcontext
from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

import mmaction_emim  # noqa: F401 (registers the modules)
from mmaction_emim.apis.complexity import count_windows, without_downloads
from mmaction_emim.compat import FakeTensorMode

ROOT = Path(__file__).resolve().parents[2]
ATA = 'AlignmentGuidedTemporalAttention'  # its path depends on values


def view_shape(cfg: Config) -> tuple[int, ...]:
    """What the training pipeline gives to the backbone for one clip.

    Returns:
        (1, 3, T, H, W), or (T, 3, H, W) for networks on single frames.
    """
    steps = {step['type']: step for step in cfg.train_dataloader.dataset.pipeline}
    sample = steps.get('SampleFrames') or steps['UniformSample']
    frames = sample['clip_len'] * sample.get('num_clips', 1)
    crop = steps.get('RandomCrop')
    height, width = [crop['size']] * 2 if crop else steps['Resize']['scale']
    if steps['FormatShape']['input_format'] == 'NCHW':
        return (frames, 3, height, width)
    return (1, 3, frames, height, width)


def cost(backbone: dict, shape: tuple[int, ...]) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of a forward pass."""
    model = MODELS.build(without_downloads(backbone))
    model.train()  # in evaluation nn.MultiheadAttention takes a path that is not counted
    counter = FlopCounterMode(display=False)
    fake = nullcontext() if ATA in str(backbone) else FakeTensorMode(allow_non_fake_inputs=True)
    with torch.no_grad(), fake, count_windows(model) as windows, counter:
        model(torch.randn(shape))
    parameters = sum(p.numel() for p in model.parameters())
    return parameters, counter.get_total_flops() // 2 + sum(windows)


def row(path: Path) -> str:
    """A config's line of the table.

    Raises:
        ValueError: The config has no MotionBackbone.
    """
    cfg = Config.fromfile(path)
    swapped = cfg.model.backbone
    if swapped.type != 'MotionBackbone':
        raise ValueError(f'{path}: model.backbone.type is {swapped.type!r}, not MotionBackbone')
    shape = view_shape(cfg)
    (params, macs), (base_params, base_macs) = (
        cost(backbone, shape) for backbone in (swapped, swapped.backbone)
    )
    view = 'x'.join(str(n) for n in shape if n != 1)
    return (
        f'| {path.parent.name}/{path.stem} | {view} | {base_params / 1e6:.2f} | '
        f'{params / 1e6:.2f} | {base_macs / 1e9:.1f} | {macs / 1e9:.1f} |'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', type=Path, help='default: all with a MotionBackbone')
    args = parser.parse_args()
    every = sorted(p for name in ('emim', 'm2a', 'ata') for p in ROOT.glob(f'configs/{name}/*.py'))
    paths = args.configs or [path for path in every if 'MotionBackbone' in path.read_text()]
    warnings.filterwarnings('ignore')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    init_default_scope('mmaction')
    print('| config | view | params before (M) | after | GMACs before | after |')
    print('|---|---|---|---|---|---|')
    for path in paths:
        print(row(path), flush=True)


if __name__ == '__main__':
    main()
