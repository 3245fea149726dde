"""A controlled study of motion modules: trains many small networks and reports what came out.

    python projects/motion_study/study.py --budget small             # two CPU cores
    python projects/motion_study/study.py --budget full --real-data DIR   # a GPU
    python projects/motion_study/study.py --arms 'vit-tiny/*' --seeds 0 1

Protocol and arms: README.md. Finished runs are not repeated and an interrupted one resumes, so
the command may be stopped and given again. Every run's commands can be run by hand: its folder
holds config.py and the logs.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # projects are not installed

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.motion_shapes import DIFFICULTIES
from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.files import write_text
from projects.motion_study import ROOT, picture, report
from projects.motion_study.arms import SMALL, choose
from projects.motion_study.data import LONG, NAMES, REAL, Data, motion_shapes, real_clips
from projects.motion_study.runs import Run, RunExecutor


class Budget(NamedTuple):
    """What is run unless arguments say otherwise."""

    arms: list[str]
    seeds: list[int]
    steps: int
    data: list[str]


BUDGETS = {
    'small': Budget(SMALL, [0, 1, 2], 678, ['clean']),
    'full': Budget(['*'], [0, 1, 2, 3, 4], 1017, list(NAMES)),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--budget', choices=BUDGETS, default='small')
    parser.add_argument('--arms', nargs='+', help="patterns of network/arm, such as 'vit-tiny/*'")
    parser.add_argument('--seeds', type=int, nargs='+')
    parser.add_argument('--steps', type=int, help='of training, rounded to whole epochs')
    parser.add_argument('--lr', type=float, help="learning rate, instead of the network's")
    parser.add_argument('--data', nargs='+', choices=NAMES)
    parser.add_argument('--real-data', type=Path, help=f'folder that holds {", ".join(REAL)}')
    parser.add_argument('--clips', type=int, default=150, help='training clips a class')
    parser.add_argument('--out', type=Path, help='default: work_dirs/study/BUDGET')
    parser.add_argument('--jobs', type=int, help='runs at a time; default: cores, on a GPU half')
    parser.add_argument('--docs', action='store_true', help='write them into the README, too')
    args = parser.parse_args()
    for name in ('steps', 'clips', 'jobs'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name} must be 1 or more, got {getattr(args, name)}')
    if args.lr is not None and not args.lr > 1e-5:
        parser.error(f'--lr must be above 1e-05, where the schedule ends, got {args.lr:g}')
    budget = BUDGETS[args.budget]
    for name in ('seeds', 'steps', 'data'):
        if getattr(args, name) is None:
            setattr(args, name, getattr(budget, name))
    cores = os.cpu_count() or 1
    # Beside each run on a GPU a process decodes.
    args.jobs = args.jobs or max(cores // (1 + torch.cuda.is_available()), 1)
    args.threads = max(cores // args.jobs, 1)
    args.out = (args.out or ROOT / 'work_dirs' / 'study' / args.budget).resolve()
    args.folder = args.out.parent / f'data_{args.clips}'  # of generated clips
    return args


def data_sets(args: argparse.Namespace) -> list[Data]:
    """Those that are asked for and there."""
    found = []
    for name in args.data:
        if name in DIFFICULTIES:
            found.append(motion_shapes(name, args.folder, args.clips))
        elif data := real_clips(name, args.real_data and args.real_data.resolve()):
            found.append(data)
        else:
            where = f'{args.real_data} does not hold it' if args.real_data else 'no --real-data'
            print(f'{name}: skipped, {where}')
    return found


def runs_of(args: argparse.Namespace) -> list[Run]:
    """Seed by seed, so that a study that is stopped early has every arm.

    Unless arms were asked for by name, other data sets than the clean one are for main arms only.
    """
    arms = choose(args.arms or BUDGETS[args.budget].arms)
    found = data_sets(args)
    clean = DIFFICULTIES[0]
    # Another learning rate is asked about accuracy alone.
    wanted = clean in args.data and args.lr is None
    long = motion_shapes(LONG, args.folder, args.clips) if wanted else None
    return [
        Run(arm, data, seed, args.steps, long if data.name == clean else None, args.lr)
        for seed in args.seeds
        for data in found
        for arm in arms
        if arm.main or data.name == clean or args.arms
    ]


def prepare_process(threads: int) -> None:
    """What a process needs that builds networks; it ends at once when interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)
    init_default_scope('mmaction')
    MMLogger.get_current_instance().setLevel('ERROR')


def execute(executor: RunExecutor, runs: list[Run], jobs: int, threads: int) -> dict[str, str]:
    """Why runs failed, by their names; the others leave their results in their folders."""
    failures, start = {}, time.time()
    # Processes, not threads: initialization draws from torch's one generator.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, context, prepare_process, (threads,)) as pool:
        futures = {pool.submit(executor.execute, run): run for run in runs}
        for count, future in enumerate(as_completed(futures), start=1):
            name = futures[future].name
            try:
                outcome = f'top-1 {future.result()["tests"]["forward"]["top1"]:.3f}'
            except Exception as error:  # the others go on
                failures[name] = outcome = str(error)
            minutes = (time.time() - start) / 60
            left = minutes / count * (len(runs) - count)
            print(
                f'{count}/{len(runs)} {name}: {outcome}  ({minutes:.0f} min, {left:.0f} left)',
                flush=True,
            )
    return failures


def protocol(args: argparse.Namespace, results: list[dict]) -> str:
    """What was run."""
    hours = sum(result['train_seconds'] for result in results) / 3600
    devices = ', '.join(sorted({result['device'] for result in results}))
    return (
        f'{len(results)} runs, {args.jobs} at a time, on {devices}: {hours:.1f} hours of training '
        f'added up. {12 * args.clips} training clips of MotionShapes. '
        'Top-1 is mean ± standard deviation over seeds; chance is 1/12 on MotionShapes. '
        'Whether an outcome was as expected goes by a 95 % interval over seeds.\n'
    )


def main() -> None:
    args = parse_args()
    runs = runs_of(args)
    if not runs:
        raise ValueError('no data set is there to run on')
    executor = RunExecutor(args.out, args.threads)
    print(f'{len(runs)} runs, {args.jobs} at a time, {args.threads} threads each: {args.out}')
    failures = execute(executor, runs, args.jobs, args.threads)
    # Also those of earlier calls with other arms or seeds.
    finished = sorted((args.out / 'runs').rglob('result.json'))
    results = [json.loads(path.read_text()) for path in finished]
    lines = ''.join(json.dumps(result) + '\n' for result in results)
    write_text(args.out / 'results.jsonl', lines)
    if results:
        text = report.markdown(results, protocol(args, results))
        text += ''.join(f'\nFailed: {name}: {why}\n' for name, why in failures.items())
        write_text(args.out / 'study.md', f'# Study\n\n{text}')
        picture.draw(text, args.out / 'study.png')
        if args.docs:
            readme = report.between_markers(picture.README.read_text(), text)
            write_text(picture.README, readme)
            picture.draw(readme, picture.PICTURE)
        print((args.out / 'study.md').read_text())
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    run(main)
