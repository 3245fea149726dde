"""Export a recognizer as torch.export's .pt2 or as ONNX: frames in, scores of classes out.

    python tools/deployment/export.py CONFIG CHECKPOINT model.onnx

The graph takes float32 clips (N, 3, T, H, W), RGB, 0 to 255, of any N; T, H and W are the config's
test view unless --shape says otherwise. What it returns is compared with PyTorch before it is kept.
The file says how clips are sampled, resized and cropped, how views are averaged, and the classes.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
from pathlib import Path

import torch

from mmaction_emim.apis import describe_export, export, exportable, load_exported
from mmaction_emim.apis.labels import class_names
from mmaction_emim.evaluation.protocol import input_shape
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.utils.finite import check_finite

TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('out', type=Path, help='.pt2 or .onnx')
    parser.add_argument('--labels', type=Path, help='class names; default: found by itself')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('T', 'H', 'W'))
    args = parser.parse_args()

    cfg = read_config(args.config)
    T, H, W = args.shape or input_shape(cfg)
    model = exportable(cfg, args.checkpoint)
    labels = class_names(cfg, cfg.model.cls_head.num_classes, args.labels, model.dataset_meta)
    draft = args.out.with_name(f'draft_{args.out.name}')
    clip = torch.rand(3, 3, T, H, W) * 255
    with torch.no_grad():
        expected = model(clip)
    check_finite(expected, args.checkpoint, 'scores of random clips')
    try:
        export(model, (T, H, W), draft, describe_export(cfg, (T, H, W), labels))
        difference = (load_exported(draft)(clip) - expected).abs().max().item()
        if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):  # NaN too
            raise ValueError(f'{args.out}: differs from PyTorch by {difference:.1e}; not written')
        draft.replace(args.out)
    finally:
        draft.unlink(missing_ok=True)
    print(f'{args.out}: {T} x {H} x {W}, differs from PyTorch by {difference:.1e}')


if __name__ == '__main__':
    run(main)
