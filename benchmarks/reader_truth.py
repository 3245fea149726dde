"""Which frames two readers hand out, of clips of many kinds, beside decoding in order.

    python benchmarks/reader_truth.py

Of every kind of tests/datasets/numbered_clips.py, whose frames show their own number. Frames are
asked for in turn, backwards, evenly spaced, in no order, and one by one. "wrong" are frames that
show another number than the one that decoding in order gives at that place, or that are more than 4
grey levels from it in the mean, and no error; "error" is an error at any of these. A reader that
counts other frames is wrong, unless it ends with an error when it is asked for all of them.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av  # noqa: F401  before decord: theirs are two builds of libvpx, and the first one is used
import decord
import numpy as np

from mmaction_emim.datasets.decord_reader import open_with_decord
from mmaction_emim.datasets.reader import VideoReader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests/datasets'))
from numbered_clips import KINDS, decoded_in_order, shown  # noqa: E402

READERS: dict[str, Callable[[str], Any]] = {
    'ours': VideoReader,
    'decord': lambda path: decord.VideoReader(path, num_threads=1),
    "`reader='decord'`": open_with_decord,
}


def verdict(opened: Callable[[str], Any], path: str, truth: list[np.ndarray]) -> str:
    """``'right'``, ``'wrong: why'`` or ``'error: why'``."""
    N = len(truth)
    rng = np.random.default_rng(0)
    orders = [range(N), range(N)[::-1], np.linspace(0, N - 1, 8).astype(int), rng.permutation(N)]
    orders += [[i] for i in range(N)]
    try:
        if (frames := len(opened(path))) != N:
            opened(path).get_batch(list(range(frames)))
            return f'wrong: {frames} frames of {N}'
        for order in orders:
            batch = opened(path).get_batch(list(map(int, order))).asnumpy()
            for i, frame in zip(order, batch, strict=True):
                if frame.shape != truth[i].shape:
                    return 'wrong: not upright'
                if shown(frame) != shown(truth[i]):
                    return f'wrong: frame {shown(frame)} for {shown(truth[i])}'
                if np.abs(frame.astype(int) - truth[i]).mean() > 4:
                    return f'wrong: frame {shown(frame)} is half drawn'
    except Exception as error:  # decord's own class is private
        line = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        return f'error: {line.split("Check failed: ")[-1].removeprefix(f"{path}: ")}'
    return 'right'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--why', action='store_true', help='print which frames, and errors')
    args = parser.parse_args()
    print(f'| clip | {" | ".join(READERS)} |')
    print('|---|' + '---|' * len(READERS))
    totals = {name: Counter() for name in READERS}
    for kind, clip in KINDS.items():
        with TemporaryDirectory() as folder:
            path = Path(folder, f'a{clip.suffix}')
            clip.make(path)
            truth = [clip.upright(frame) for frame in decoded_in_order(path)]
            verdicts = [verdict(opened, str(path), truth) for opened in READERS.values()]
        words = [word.split(':')[0] for word in verdicts]
        for name, word in zip(READERS, words, strict=True):
            totals[name][word] += 1
        print(f'| {kind} | {" | ".join(verdicts if args.why else words)} |')
    sums = [
        ', '.join(f'{count[word]} {word}' for word in ('right', 'error', 'wrong'))
        for count in totals.values()
    ]
    print(f'| **all {len(KINDS)}** | {" | ".join(sums)} |')


if __name__ == '__main__':
    main()
