"""What each tool is given that reads a file, by the file that is hostile.

Each is a function of that file, of MotionShapes' folder and of a path to write to.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG, WEIGHTS = 'configs/emim_motionshapes.py', 'demo/emim_motionshapes.pth'
CLIP = str(sorted((ROOT / 'demo' / 'clips').iterdir())[0])


def train(data: str, *more: str) -> list[str]:
    """Options of the config."""
    loaders = [f'{name}_dataloader' for name in ('train', 'val', 'test')]
    options = [f'{loader}.dataset.data_root={data}' for loader in loaders]
    options += [f'{loader}.num_workers=0' for loader in loaders]
    options += [f'{loader}.persistent_workers=False' for loader in loaders]
    return ['--cfg-options', *options, 'model.backbone.spatial_stride=1', *more]


def named(file: str, *names: str) -> str:
    """A folder where the file has these names."""
    folder = Path(file).with_name('named')
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(file, folder / name)
    return str(folder)


def prepare(data_set: str, *names: str):
    """The official files of a data set."""
    return lambda file, data, out: [f'tools/data/{data_set}/prepare.py', named(file, *names), out]


TOOLS = {
    'train, load_from': lambda file, data, out: [
        'tools/train.py', CONFIG, '--work-dir', out, *train(data, f'load_from={file}')
    ],
    'train, resume': lambda file, data, out: [
        'tools/train.py', CONFIG, '--work-dir', out, '--resume', file, *train(data)
    ],
    'train, init_cfg': lambda file, data, out: [
        'tools/train.py', CONFIG, '--work-dir', out, *train(
            data, 'model.backbone.init_cfg.type=Pretrained',
            f'model.backbone.init_cfg.checkpoint={file}',
        )
    ],
    'train, list': lambda file, data, out: [
        'tools/train.py', CONFIG, '--work-dir', out, *train(
            data, f'train_dataloader.dataset.ann_file={file}'
        )
    ],
    'test': lambda file, data, out: [
        'tools/test.py', CONFIG, file, '--work-dir', out, *train(data)
    ],
    'convert_emim': lambda file, data, out: ['tools/convert/convert_emim.py', file, out],
    'convert_emim, reverse': lambda file, data, out: [
        'tools/convert/convert_emim.py', file, out, '--reverse'
    ],
    'convert_uniformer': lambda file, data, out: ['tools/convert/convert_uniformer.py', file, out],
    'join_checkpoints': lambda file, data, out: [
        'tools/convert/join_checkpoints.py', CONFIG, file, WEIGHTS, out
    ],
    'join_checkpoints, trained': lambda file, data, out: [
        'tools/convert/join_checkpoints.py', CONFIG, WEIGHTS, file, out
    ],
    'export': lambda file, data, out: [
        'tools/deployment/export.py', CONFIG, file, f'{out}.pt2'
    ],
    'submission, write': lambda file, data, out: [
        'tools/submission.py', 'write', file, '--out', out, '--label-map',
        f'{data}/classes.txt', '--test-list', f'{data}/test.txt',
    ],
    'submission, check': lambda file, data, out: [
        'tools/submission.py', 'check', file, '--label-map',
        f'{data}/classes.txt', '--test-list', f'{data}/test.txt',
    ],
    'class_accuracy': lambda file, data, out: [
        'tools/analysis_tools/class_accuracy.py', file, f'{data}/classes.txt'
    ],
    'leaderboard': lambda file, data, out: ['tools/leaderboard.py', file, '--out', out],
    'leaderboard, published': lambda file, data, out: [
        'tools/leaderboard.py', file, '--out', out, '--published', file
    ],
    'labels': lambda file, data, out: ['tools/data/labels.py', 'flip-map', file],
    'own, table': lambda file, data, out: [
        'tools/data/own/prepare.py', f'{named(file, "table.csv")}/table.csv', out
    ],
    'own, split list': lambda file, data, out: [
        'tools/data/own/prepare.py', f'{data}/train', out, '--split-lists', f'train={file}'
    ],
    'sthv1': prepare('sthv1', 'something-something-v1-labels.csv'),
    'sthv2': prepare('sthv2', 'something-something-v2-labels.json'),
    'diving48': prepare('diving48', 'Diving48_vocab.json'),
    'diving48, archive': prepare('diving48', 'Diving48_rgb.tar.gz'),
    'kinetics': prepare('kinetics', 'train.csv', 'val.csv', 'test.csv'),
    'kinetics, archive': prepare('kinetics', 'train.csv', 'part_0.tar.gz'),
    'motion_report': lambda file, data, out: [
        'tools/analysis_tools/motion_report.py', CONFIG, file
    ],
    'motion_report, labels': lambda file, data, out: [
        'tools/analysis_tools/motion_report.py', CONFIG, WEIGHTS, '--labels', file
    ],
    'extract_features': lambda file, data, out: [
        'tools/extract_features.py', CONFIG, file, CLIP, '--out', out
    ],
    'extract_features, list': lambda file, data, out: [
        'tools/extract_features.py', CONFIG, WEIGHTS, f'{named(file, "list.txt")}/list.txt',
        '--out', out,
    ],
    'curves': lambda file, data, out: [
        'tools/analysis_tools/curves.py', file, '--out', f'{out}.png'
    ],
    'motion_truth': lambda file, data, out: ['tools/visualizations/motion_truth.py', CONFIG, file],
    'motion_field': lambda file, data, out: [
        'tools/visualizations/motion_field.py', CONFIG, file, CLIP, '--out', f'{out}.png'
    ],
    'motion_field, clip': lambda file, data, out: [
        'tools/visualizations/motion_field.py', CONFIG, WEIGHTS, file, '--out', f'{out}.png'
    ],
    'demo, video': lambda file, data, out: ['demo/demo.py', file],
    'demo': lambda file, data, out: ['demo/demo.py', CLIP, CONFIG, file],
    'demo, labels': lambda file, data, out: ['demo/demo.py', CLIP, CONFIG, WEIGHTS, file],
    'stream, source': lambda file, data, out: ['demo/stream.py', file],
    'stream': lambda file, data, out: ['demo/stream.py', CLIP, CONFIG, file],
    'web': lambda file, data, out: ['demo/web.py', '--model', 'one', CONFIG, file],
}  # fmt: skip

# Tried in tests of their own, or given nothing that others have made.
OTHERS = {
    'demo/exported.py': 'a network alone',
    'tools/upstream.py': "tools of MMAction2's",
    'demo/make.py': 'reads what it has made',
    'tools/quickstart.py': 'reads what it has made',
    'tools/zoo.py': 'reads configs, which are code, and pages of this project',
    'tools/analysis_tools/get_flops.py': 'reads a config, which is code',
    'tools/data/motion_shapes/generate.py': 'reads nothing',
}
