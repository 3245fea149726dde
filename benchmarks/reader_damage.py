"""What comes of clips that were changed at random, and whether the reader's process survives.

    python benchmarks/reader_damage.py --clips 1000
    python benchmarks/reader_damage.py --clips 1000 --reader decord

Of every kind of tests/reliability/damaged_clips.py so many clips are changed: bits flipped, bytes
set, cut out or repeated, ends cut off. "same" are the frames of the whole clip and as many of them,
"other" any others without an error. With ours each clip is also read with ``strict=True``. What is
neither frames nor one sentence ends the benchmark.
"""

import argparse
import os
import random
import sys
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.transforms import CheckedVideoInit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.datasets import numbered_clips  # noqa: E402
from tests.reliability.damaged_clips import KINDS, mutate, outcome  # noqa: E402

WORDS = ('error', 'same', 'other')


def read_all(
    inits: list[CheckedVideoInit], path: Path, damaged: list[bytes], whole: np.ndarray, log: Path
) -> None:
    """Write how each clip ends; runs in a child process."""
    with open(log, 'a', buffering=1) as file:
        for data in damaged[len(log.read_text().splitlines()) :]:
            path.unlink()
            path.write_bytes(data)
            file.write(' '.join(end(init, path, whole) for init in inits) + '\n')


def end(init: CheckedVideoInit, path: Path, whole: np.ndarray) -> str:
    try:
        return outcome(init, path, whole)
    except AssertionError:
        raise
    except Exception:  # decord's own class is private
        if init.reader != 'decord':
            raise
        return 'error'


def survive(
    inits: list[CheckedVideoInit], path: Path, damaged: list[bytes], whole: np.ndarray
) -> list[str]:
    """How each clip ended, ``crash`` among the ways."""
    log = path.with_name('log')
    log.touch()
    while len(log.read_text().splitlines()) < len(damaged):
        if (pid := os.fork()) == 0:
            status = 1
            try:
                read_all(inits, path, damaged, whole, log)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status > 0:
            sys.exit(f'error: neither frames nor a sentence, see above: {path}')
        if status < 0:
            with open(log, 'a') as file:
                file.write(' '.join(['crash'] * len(inits)) + '\n')
    return log.read_text().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=100, help='of each kind')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--reader', choices=('pyav', 'decord'), default='pyav')
    args = parser.parse_args()
    av.logging.set_level(av.logging.PANIC)
    inits = [CheckedVideoInit(reader=args.reader)]
    if args.reader == 'pyav':
        inits.append(CheckedVideoInit(strict=True))
    names = [f'{word}{how}' for how in ('', ', strict')[: len(inits)] for word in WORDS]
    print(f'| clip | {" | ".join(names)} | crashes |', '|---' * (len(names) + 2) + '|', sep='\n')
    sums = Counter()
    for kind in KINDS:
        with TemporaryDirectory() as folder:
            path = Path(folder, f'a{numbered_clips.KINDS[kind].suffix}')
            numbered_clips.KINDS[kind].make(path)
            reader = VideoReader(path)
            whole = reader.get_batch(range(len(reader))).asnumpy()
            draw, data = random.Random(f'{args.seed} {kind}'), path.read_bytes()
            damaged = [mutate(data, draw) for _ in range(args.clips)]
            ends = [line.split() for line in survive(inits, path, damaged, whole)]
        counts = Counter((way, word) for end in ends for way, word in enumerate(end))
        sums += counts
        print(row(kind, counts, len(inits)), flush=True)
    print(row(f'**all {args.clips * len(KINDS)}**', sums, len(inits)))


def row(name: str, counts: Counter, ways: int) -> str:
    numbers = [counts[way, word] for way in range(ways) for word in WORDS]
    return f'| {name} | {" | ".join(map(str, [*numbers, counts[0, "crash"]]))} |'


if __name__ == '__main__':
    main()
