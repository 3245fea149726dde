"""From nothing to a table: generate MotionShapes, train EMIM on it, test it three ways, draw.

Every step is a command that can be run by hand; its output goes to work_dirs/quickstart/log.txt.
Each seed has a folder of its own in work_dirs/quickstart. Finished steps are not repeated, and an
interrupted training is resumed; where the code or configs changed since it began, that is said.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORK = Path('work_dirs/quickstart')
LOG = WORK / 'log.txt'
CONFIG = 'configs/emim_motionshapes.py'
ORDER = 'test_dataloader.dataset.pipeline.2.order'
ORDERS = ('forward', 'reversed', 'shuffled')
STEP = re.compile(r'Epoch\((?:train|test)\)\s+(?:\[(\d+)\])?\[\s*(\d+)/(\d+)\]')
WARNING = re.compile(r' - WARNING - (.*)')

console = Console()


def run(title: str, command: list[str], share_done: Callable[[str], float | None]) -> None:
    """Run a command of this project from its root, with a bar; exit with its status if it fails.

    Args:
        title: Before the bar.
        command: Arguments of Python.
        share_done: From a line of what it prints to the share of the work that is done; None: the
            line says nothing of it.
    """
    console.print(f'$ python {" ".join(command)}', style='dim', soft_wrap=True, highlight=False)
    columns = (TextColumn('{task.description:<22}'), BarColumn(), TaskProgressColumn())
    last = ''
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(title, total=1.0)
        process = subprocess.Popen(
            [sys.executable, '-u', *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with open(ROOT / LOG, 'a', encoding='utf-8') as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                last = line.strip() or last
                if (share := share_done(line)) is not None:
                    progress.update(task, completed=share)
                if warning := WARNING.search(line):
                    progress.console.print(f'warning: {warning[1]}', style='yellow')
        status = process.wait()
        if not status:
            progress.update(task, completed=1.0)
    if status:
        console.print(f'{last}\nexit status {status}; all that was printed: {LOG}', style='red')
        sys.exit(status)


def generate() -> None:
    """Make the clips that are not there yet."""

    def share_done(line: str) -> float | None:
        made = re.match(r'(\d+) of (\d+) clips', line)
        return int(made[1]) / int(made[2]) if made else None

    run('generate 2,100 clips', ['tools/data/motion_shapes/generate.py'], share_done)


def sources() -> str:
    """A digest of the code and configs that a training uses."""
    folders = ('configs', 'mmaction_emim', 'tools')
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))]
    contents = [f'{path.relative_to(ROOT)}\0'.encode() + path.read_bytes() for path in files]
    return hashlib.sha256(b'\0'.join(contents)).hexdigest()


def train(seed: int) -> Path:
    """Train, or take up where an interrupted run stopped; its last checkpoint."""
    folder = WORK / f'seed_{seed}' / 'train'
    began_with = ROOT / folder / 'sources'
    if not (ROOT / folder / 'last_checkpoint').exists():
        began_with.parent.mkdir(parents=True, exist_ok=True)
        began_with.write_text(sources())
    elif began_with.read_text() != sources():
        console.print(
            f'warning: code or configs changed since {folder} was trained; delete it to train anew',
            style='yellow',
            soft_wrap=True,
        )
    if not (ROOT / folder / 'done').exists():
        command = ['tools/train.py', CONFIG, '--work-dir', str(folder), '--seed', str(seed)]
        if (ROOT / folder / 'last_checkpoint').exists():
            command.append('--resume')
        epochs = int(re.search(r'^max_epochs = (\d+)', (ROOT / CONFIG).read_text(), re.M)[1])
        run('train', command, lambda line: _share(line, epochs))
        (ROOT / folder / 'done').touch()
    return Path((ROOT / folder / 'last_checkpoint').read_text().strip())


def test(order: str, checkpoint: Path, seed: int) -> float:
    """Top-1 on the test clips, played in the given order."""
    folder = WORK / f'seed_{seed}' / f'test_{order}'
    command = ['tools/test.py', CONFIG, str(checkpoint), '--work-dir', str(folder)]
    run(f'test {order}', [*command, '--cfg-options', f'{ORDER}={order}'], lambda x: _share(x, 1))
    return top1_of(ROOT / folder)


def top1_of(folder: Path) -> float:
    """What the last test in a folder found."""
    return json.loads(max(folder.glob('*/*.json')).read_text())['acc/top1']


def _share(line: str, epochs: int) -> float | None:
    """The share of all iterations that MMEngine's log line tells of."""
    if not (found := STEP.search(line)):
        return None
    epoch, step, steps = (int(number or 1) for number in found.groups())
    return ((epoch - 1) * steps + step) / (epochs * steps)


def draw_curves(folder: Path, path: Path) -> None:
    """Training loss by step and test accuracy by epoch, of what a training logged to a folder."""
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    rows = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    figure = Figure(figsize=(9, 3.5), layout='constrained')
    for axes, key, title, unit in zip(
        figure.subplots(1, 2),
        ('loss', 'acc/top1'),
        ('training loss', 'top-1 on the test clips'),
        ('step', 'epoch'),
        strict=True,
    ):
        points = [(row['step'], row[key]) for row in rows if key in row]
        axes.plot(*zip(*points, strict=True), marker='.')
        axes.set(title=title, xlabel=unit)
    axes.axhline(1 / 12, color='grey', linestyle='dashed', label='chance')
    axes.set_ylim(0, 1)
    axes.legend(loc='lower right')
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0)
    seed = parser.parse_args().seed

    start = time.time()
    (ROOT / WORK).mkdir(parents=True, exist_ok=True)
    generate()
    checkpoint = train(seed)
    results = [test(order, checkpoint, seed) for order in ORDERS]
    curves = WORK / f'seed_{seed}' / 'curves.png'
    draw_curves(ROOT / curves.with_name('train'), ROOT / curves)

    console.print(f'EMIM on MotionShapes, 12 classes (chance 0.083), seed {seed}', highlight=False)
    table = Table()
    table.add_column('test clips played')
    table.add_column('top-1')
    for order, top1 in zip(ORDERS, results, strict=True):
        table.add_row(order, f'{top1:.3f}')
    console.print(table)
    console.print(f'checkpoint  {checkpoint}', highlight=False, soft_wrap=True)
    console.print(f'log         {LOG}', highlight=False)
    console.print(f'curves      {curves}', highlight=False)
    console.print(f'took        {(time.time() - start) / 60:.1f} min', highlight=False)


if __name__ == '__main__':
    main()
