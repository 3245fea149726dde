"""Make what lies in this folder: a tiny network's weights, sample clips, and the README's figures.

    python demo/make.py

Generates MotionShapes, trains configs/emim_motionshapes.py with seed 0, one thread, on the CPU, at
a third of its rate for 9 epochs, its gradients clipped later, and keeps the last epoch's weights
alone.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from mmaction_emim.datasets.motion_shapes import CLASSES
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint
from mmaction_emim.utils.files import write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA, WORK = ROOT / 'data' / 'motion_shapes', ROOT / 'work_dirs' / 'demo'
CONFIG, WEIGHTS = ROOT / 'configs' / 'emim_motionshapes.py', HERE / 'emim_motionshapes.pth'
SEED = 0
# At the config's rate more answers are right, and fewer affinities are where things go.
OPTIONS = (
    'optim_wrapper.optimizer.lr=1e-3',
    'optim_wrapper.clip_grad.max_norm=5.0',
    'train_cfg.max_epochs=9',
    'param_scheduler.1.end=9',
    'param_scheduler.1.T_max=8',
)
ORDERS = ('forward', 'reversed', 'shuffled')
CLIPS = ('approach/000001.mp4', 'clockwise/000000.mp4', 'left/000003.webm')


def main() -> None:
    run('tools/data/motion_shapes/generate.py')
    train(WORK, WEIGHTS)
    (HERE / 'clips').mkdir(exist_ok=True)
    for clip in CLIPS:
        name, _, file = clip.partition('/')
        shutil.copy(DATA / 'test' / clip, HERE / 'clips' / f'{name}{Path(file).suffix}')
    rows = ''.join(f'| {order} | {top1(order):.3f} |\n' for order in ORDERS)
    readme = HERE / 'README.md'
    table = f'| test clips played | top-1 |\n|---|---|\n{rows}'
    text = re.sub(r'(?s)(<!-- top-1 -->\n).*(<!-- /top-1 -->)', rf'\1{table}\2', readme.read_text())
    write_text(readme, text)


def train(work: Path, weights: Path, *options: str) -> None:
    """Train in a folder, with further options of the config, and keep the last weights."""
    arguments = CONFIG, '--work-dir', work, '--seed', SEED, '--cfg-options', *OPTIONS, *options
    run('tools/train.py', *arguments)
    last = Path((work / 'last_checkpoint').read_text().strip())
    meta = dict(seed=SEED, config=CONFIG.name, dataset_meta=dict(classes=CLASSES))
    torch.save(dict(meta=meta, state_dict=read_checkpoint(last)['state_dict']), weights)


def top1(order: str) -> float:
    """Accuracy of the kept weights on the test clips, played in this order."""
    folder = WORK / f'test_{order}'
    option = f'test_dataloader.dataset.pipeline.2.order={order}'
    run('tools/test.py', CONFIG, WEIGHTS, '--work-dir', folder, '--cfg-options', option)
    return json.loads(max(folder.glob('*/*.json')).read_text())['acc/top1']


def run(*command: object) -> None:
    """Run a command of this project on one thread: a sum's order depends on their number."""
    print('$ python', *command, flush=True)
    one = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, *map(str, command)]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **one}, check=False).returncode:
        sys.exit(1)


if __name__ == '__main__':
    main()
