"""Everything that only a GPU can show, in one command and at most 8 minutes: ``make gpu``.

    python benchmarks/gpu.py                      # all parts
    python benchmarks/gpu.py --parts tests steps  # some
    python benchmarks/gpu.py --out DIR            # also DIR/gpu.md, and raw times as JSON

Needs torch with CUDA and Triton; for the part ``tests`` pytest too. Each part is a process with a
time limit: it may fail or hang, and the others go on. The page of tables comes at the end, and
under it what each part took, or why it failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 8
PARTS = ('tests', 'accuracy', 'steps', 'operator', 'growth')


class Part(NamedTuple):
    """A command of Python's, with the seconds that it may take at most."""

    name: str
    title: str
    command: list[str]
    seconds: float
    needs: str | None = None  # a package


class Result(NamedTuple):
    part: Part
    output: str
    seconds: float
    failure: str | None


def parts(names: list[str], device: str, small: bool, out: Path | None) -> list[Part]:
    """The parts of each name, in the order of what would be missed most."""

    def script(name: str, *options: str, json: str | None = None) -> list[str]:
        stored = ['--json', str(out / f'{json}.json')] if out and json else []
        return [f'benchmarks/{name}.py', '--device', device, *options, *stored]

    which = 'triton and cost_volume' if small else 'triton'
    tests = ['-m', 'pytest', '-q', '--tb=line', '--noconftest', '-p', 'no:cacheprovider']
    tests += ['-k', which, 'tests/ops/triton_cases.py', 'tests/ops/test_autocast.py']
    tests += ['-n', '8'] if find_spec('xdist') and not small else []  # most of it is compiling
    shapes = ['--shapes', 'small'] if small else []
    few = ['--threads', '1', '--rounds', '5', '--seconds', '1'] if small else ['--seconds', '3']
    operator = shapes or ['--shapes', 'stage3-B8', 'stage4-B8', 'stage3', 'grid28']
    found = {
        'tests': [Part('tests', "The kernels' tests", tests, 120, 'pytest')],
        'accuracy': [Part('accuracy', 'Errors against float64', script('accuracy', *shapes), 90)],
        'steps': [],
        'operator': [
            Part(
                'operator',
                'The operator and the layer against their rivals',
                script('ops', *operator, *few, json='operator'),
                150,
            )
        ],
        'growth': [
            Part(
                'growth',
                'How time and memory grow',
                script('ops', '--growth', *few, *(['--points', '2'] * small), json='growth'),
                60,
            )
        ],
    }
    sizes = ['--frames', '2', '--size', '32', *few] if small else ['--batch', '4', '--seconds', '8']
    for arch in ['tiny'] if small else ['small', 'base']:
        for dtype in 'bfloat16', 'float16':
            name = f'step-{arch}-{dtype}'
            options = ['--arch', arch, '--amp', '--dtype', dtype, *sizes]
            command = script('train_step', *options, json=name)
            title = f'A training step of EMIM-UniFormer, {arch}, autocast {dtype}'
            found['steps'].append(Part(name, title, command, 70))
    return [part for name in names for part in found[name]]


def run(part: Part, seconds: float) -> Result:
    """Run a part for so many seconds at most; whatever it does, return what it printed."""
    if part.needs and find_spec(part.needs) is None:
        return Result(part, '', 0.0, f'{part.needs} is not installed: pip install {part.needs}')
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *part.command],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': path, 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        failure = f'stopped after {seconds:.0f} s'
    else:
        last = (errors.strip() or output.strip()).splitlines()[-1:] or ['']
        failure = f'status {process.returncode}: {last[0][:300]}' if process.returncode else None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # also what it started and left
        except ProcessLookupError:
            pass
    if failure and failure.startswith('stopped'):
        output, _ = process.communicate()
    return Result(part, output, time.perf_counter() - start, failure)


def page(results: list[Result], skipped: list[Part], device: str) -> str:
    """Markdown: what each part printed, and a table of what became of it."""
    where = 'a GPU' if device == 'cuda' else "a CPU, to try the page: Triton's interpreter"
    sections = [f'## {x.part.title}\n\n{x.output.strip()}\n' for x in results if x.output.strip()]
    rows = ['## Parts', '', '| part | seconds | |', '|---|---|---|']
    rows += [f'| {x.part.name} | {x.seconds:.0f} | {x.failure or "ok"} |' for x in results]
    rows += [f'| {x.name} | | not started: the time was up |' for x in skipped]
    return '\n'.join([f'# Measured on {where}', '', *sections, *rows]) + '\n'


def check_machine() -> None:
    """Exit with one sentence unless torch, a GPU and Triton are there."""
    if find_spec('torch') is None:
        sys.exit(f'make gpu needs torch, which {sys.executable} does not have.')
    import torch

    if not torch.cuda.is_available():
        sys.exit(f'make gpu needs an NVIDIA GPU, and torch {torch.__version__} sees none here.')
    if find_spec('triton') is None:
        sys.exit(f'make gpu needs Triton, which {sys.executable} does not have: pip install triton')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--minutes', type=float, default=MINUTES, help='limit of all parts')
    parser.add_argument('--out', type=Path, help='folder for the page and the raw times')
    # To try the page without a GPU: Triton's interpreter, tiny sizes.
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda', help=argparse.SUPPRESS)
    parser.add_argument('--small', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == 'cuda':
        check_machine()
    else:
        os.environ['TRITON_INTERPRET'] = '1'
    out = args.out and args.out.resolve()
    if out:
        out.mkdir(parents=True, exist_ok=True)
    end = time.perf_counter() + 60 * args.minutes
    results, waiting = [], parts(args.parts, args.device, args.small, out)
    while waiting and (left := end - time.perf_counter()) > 1:
        part = waiting.pop(0)
        print(f'{part.name} ...', end=' ', flush=True)
        results.append(run(part, min(part.seconds, left)))
        print(f'{results[-1].seconds:.0f} s', results[-1].failure or 'ok', flush=True)
    text = page(results, waiting, args.device)
    print(f'\n{text}')
    if out:
        (out / 'gpu.md').write_text(text)
    if waiting or any(x.failure for x in results):
        sys.exit('Not every part ran to its end: see the last table.')


if __name__ == '__main__':
    main()
