"""From nothing to a table: generate MotionShapes, train two networks, test, compare.

Every step is a command that is printed and can be run by hand. Finished steps are not repeated.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORK = Path('work_dirs/quickstart')
CONFIG = 'configs/emim_motionshapes.py'
ARMS = {  # name: (label in the table, overrides)
    'emim': ('EMIM (local, global)', []),
    'global': ('global attention in every block', ['model.backbone.alternation=G']),
}
ORDER = 'test_dataloader.dataset.pipeline.2.order'
TESTS = (('emim', 'forward'), ('emim', 'reversed'), ('emim', 'shuffled'), ('global', 'forward'))


def sh(*command: str) -> None:
    """Run a command of this project from its root; exit with its status when it fails."""
    print('\n$', ' '.join(['python', *command]), flush=True)
    status = subprocess.run([sys.executable, *command], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def train(arm: str, seed: int) -> Path:
    """Train one arm, or take up where an interrupted run stopped; its last checkpoint."""
    folder = WORK / arm
    if not (ROOT / folder / 'done').exists():
        overrides = ARMS[arm][1]
        options = ['--cfg-options', *overrides] if overrides else []
        resume = ['--resume'] if (ROOT / folder / 'last_checkpoint').exists() else []
        sh(
            'tools/train.py',
            CONFIG,
            '--work-dir',
            str(folder),
            '--seed',
            str(seed),
            *resume,
            *options,
        )
        (ROOT / folder / 'done').touch()
    return Path((ROOT / folder / 'last_checkpoint').read_text().strip())


def test(arm: str, order: str, checkpoint: Path) -> float:
    """Top-1 of an arm on the test clips, played in the given order."""
    folder = WORK / arm / f'test_{order}'
    options = ['--cfg-options', f'{ORDER}={order}', *ARMS[arm][1]]
    sh('tools/test.py', CONFIG, str(checkpoint), '--work-dir', str(folder), *options)
    log = max((ROOT / folder).glob('*/*.json'))
    return json.loads(log.read_text())['acc/top1']


def scalars(arm: str) -> list[dict]:
    """Everything that training logged, first to last."""
    logs = sorted((ROOT / WORK / arm).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def draw_curves(path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), constrained_layout=True)
    for arm, (label, _) in ARMS.items():
        rows = scalars(arm)
        for axis, key in zip(axes, ('loss', 'acc/top1'), strict=True):
            points = [(row['step'], row[key]) for row in rows if key in row]
            axis.plot(*zip(*points, strict=True), label=label)
    for axis, name, x in zip(axes, ('training loss', 'test top-1'), ('step', 'epoch'), strict=True):
        axis.set(title=name, xlabel=x)
    axes[0].legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0)
    seed = parser.parse_args().seed

    start = time.time()
    sh('tools/data/motion_shapes/generate.py')
    checkpoints = {arm: train(arm, seed) for arm in ARMS}
    results = [test(arm, order, checkpoints[arm]) for arm, order in TESTS]
    curves = ROOT / WORK / 'curves.png'
    draw_curves(curves)

    table = Table(title=f'MotionShapes, 12 classes (chance 0.083), seed {seed}')
    for column in ('network', 'test clips played', 'top-1'):
        table.add_column(column)
    for (arm, order), top1 in zip(TESTS, results, strict=True):
        table.add_row(ARMS[arm][0], order, f'{top1:.3f}')
    Console().print(table)
    print(f'checkpoint  {checkpoints["emim"]}')
    print(f'log         {max((ROOT / WORK / "emim").glob("*/*.log"))}')
    print(f'curves      {curves}')
    print(f'took        {(time.time() - start) / 60:.1f} min')


if __name__ == '__main__':
    main()
