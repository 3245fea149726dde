"""Does a recognizer use motion? Its accuracy on clips played in other orders, and what changes.

python tools/analysis_tools/motion_report.py CONFIG CHECKPOINT --out work_dirs/motion_report
torchrun --nproc-per-node 8 tools/analysis_tools/motion_report.py CONFIG CHECKPOINT \\
    --launcher pytorch --device cuda
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import os
from pathlib import Path

from mmengine.config import DictAction
from mmengine.dist import init_dist, is_main_process
from rich.console import Console
from rich.progress import Progress

from mmaction_emim.apis import init_recognizer
from mmaction_emim.apis.complexity import without_downloads
from mmaction_emim.apis.labels import class_names
from mmaction_emim.datasets.transforms.frame_order import ORDERS
from mmaction_emim.evaluation.motion_report import report_motion
from mmaction_emim.utils.command_line import check_overrides, run
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.utils.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="file, or name as emim_sthv2; MMAction2's too")
    parser.add_argument('checkpoint')
    parser.add_argument(
        '--labels', type=Path, help='one class name a line; default: found by itself'
    )
    parser.add_argument('--orders', nargs='+', choices=ORDERS, default=ORDERS, help='default: all')
    parser.add_argument('--seed', type=int, default=0, help='of the shuffled order')
    parser.add_argument(
        '--out', type=Path, help='folder for motion_report.md and motion_report.png'
    )
    parser.add_argument('--device', default='cpu', help='default: cpu; cuda: each process its own')
    parser.add_argument(
        '--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none', help='as test.py'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()
    if args.launcher != 'none':
        init_dist(args.launcher, backend='gloo' if args.device == 'cpu' else 'nccl')
    elif 'LOCAL_RANK' in os.environ and int(os.environ['WORLD_SIZE']) > 1:
        raise ValueError(
            f'--launcher pytorch: {os.environ["WORLD_SIZE"]} processes were launched, and each '
            'would test all clips'
        )
    cfg = read_config(args.config)
    cfg.merge_from_dict(check_overrides(cfg, args.cfg_options))
    cfg.model = without_downloads(cfg.model)
    model = init_recognizer(cfg, args.checkpoint, args.device)
    head = getattr(model, 'cls_head', None)
    if not hasattr(head, 'num_classes'):
        raise ValueError(f'{args.config}: the network has no cls_head with num_classes')
    names = class_names(cfg, head.num_classes, args.labels, getattr(model, 'dataset_meta', None))
    names = names or [str(label) for label in range(head.num_classes)]
    orders = ('forward', *(order for order in args.orders if order != 'forward'))
    with Progress(console=Console(stderr=True), disable=not is_main_process()) as progress:
        tasks = {order: progress.add_task(order, total=1.0) for order in orders}
        report = report_motion(
            model,
            cfg,
            names,
            orders,
            args.seed,
            lambda order, share: progress.update(tasks[order], completed=share),
        )
    if report is None:
        return
    print(report.markdown())
    if args.out:
        write_text(args.out / 'motion_report.md', report.markdown())
        report.plot(args.out / 'motion_report.png')
        print(args.out)


if __name__ == '__main__':
    run(main)
