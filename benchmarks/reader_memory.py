"""Resident memory over thousands of opened clips.

    python benchmarks/reader_memory.py

A process a row opens generated clips in turn, reads 16 frames of each and drops the reader: VP9
webm of 426x240 as Something-Something V2's, H.264 mp4 of 340x256 as Kinetics', and MPEG-4 avi of
320x240, which is decoded from the start.
"""

import argparse
import mmap
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
READERS = ('ours', 'decord')


def megabytes() -> float:
    return int(Path('/proc/self/statm').read_text().split()[1]) * mmap.PAGESIZE / 1e6


def measure(reader: str, opens: int, paths: list[str]) -> list[float]:
    """Megabytes before the first clip, and after a tenth, half and all."""
    from mmaction_emim.datasets.reader import VideoReader as opened

    if reader == 'decord':
        from decord import VideoReader as opened
    told = [megabytes()]
    for count, path in enumerate(islice(cycle(paths), opens), start=1):
        clip = opened(path)
        clip.get_batch(list(np.linspace(0, len(clip) - 1, 16).astype(int))).asnumpy()
        del clip
        if count in (opens // 10, opens // 2, opens):
            told.append(megabytes())
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--opens', type=int, default=3000)
    parser.add_argument('--measure', nargs='+', help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.measure:
        print(*measure(args.measure[0], args.opens, args.measure[1:]))
        return
    from data_pipeline import write_clip

    with TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ('0.webm', '1.mp4', '2.avi')]
        write_clip(paths[0], 'libvpx-vp9', (426, 240), 45, 12, 128)
        write_clip(paths[1], 'libx264', (340, 256), 90, 30, 250)
        write_clip(paths[2], 'mpeg4', (320, 240), 60, 25, 12)
        print('| reader | MB before | after a tenth | half | all | MB a thousand opens, 2nd half |')
        print('|---|---|---|---|---|---|')
        for reader in READERS:
            command = [sys.executable, __file__, '--opens', str(args.opens), '--measure', reader]
            done = subprocess.run(
                [*command, *map(str, paths)], cwd=ROOT, check=True, capture_output=True, text=True
            )
            told = [float(word) for word in done.stdout.split()]
            growth = (told[3] - told[2]) / (args.opens / 2000)
            print(f'| {reader} | {" | ".join(f"{mb:.0f}" for mb in told)} | {growth:.1f} |')


if __name__ == '__main__':
    main()
