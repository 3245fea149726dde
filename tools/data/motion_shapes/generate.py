"""Write the MotionShapes dataset: encoded clips and MMAction2 annotation lists."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmaction_emim.datasets.motion_shapes import CLASSES, DIFFICULTIES, render_clip
from mmaction_emim.utils.files import write_text

VERSION = 2  # of the rendering; raise it when the same options give other pixels
PARTIAL = '.part'
SPLITS = ('train', 'test')
ENCODERS = {
    # Without mbtree=0, x264's lookahead reads memory that nobody wrote: other pixels on every run.
    '.mp4': ('libx264', {'preset': 'veryfast', 'crf': '18', 'x264-params': 'mbtree=0'}),
    '.webm': ('libvpx-vp9', {'deadline': 'realtime', 'cpu-used': '8', 'crf': '24', 'b:v': '0'}),
}


class Clip(NamedTuple):
    path: Path
    label: int
    seed: int
    num_frames: int
    size: int
    difficulty: str
    fps: int


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('data/motion_shapes'), help='folder')
    parser.add_argument('--train', type=int, default=150, help='training clips a class')
    parser.add_argument('--test', type=int, default=25, help='test clips a class')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--difficulty', choices=DIFFICULTIES, default='clean')
    parser.add_argument('--size', type=int, default=64, help='height and width, pixels, even')
    parser.add_argument('--frames', type=int, default=24, help='of a clip')
    parser.add_argument('--fps', type=int, default=12)
    parser.add_argument(
        '--codec',
        choices=('mixed', 'h264', 'vp9'),
        default='mixed',
        help='mixed: every fourth clip is VP9 in webm, the others H.264 in mp4',
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    args = parser.parse_args(argv)
    for name, least in (('train', 1), ('test', 1), ('seed', 0), ('size', 32), ('frames', 2)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be {least} or more, got {getattr(args, name)}')
    if args.size % 2:
        parser.error(f'--size must be even (the encoders need it), got {args.size}')
    return args


def clips_of(args: argparse.Namespace, split: str) -> list[Clip]:
    """Every clip of a split. A clip's seed depends on nothing that a larger split would change."""
    clips = []
    for label, name in enumerate(CLASSES):
        for index in range(getattr(args, split)):
            vp9 = args.codec == 'vp9' or (args.codec == 'mixed' and index % 4 == 3)
            path = args.out / split / name / f'{index:06}{".webm" if vp9 else ".mp4"}'
            entropy = [args.seed, SPLITS.index(split), label, index]
            seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
            clips.append(Clip(path, label, seed, args.frames, args.size, args.difficulty, args.fps))
    return clips


def write_clip(clip: Clip) -> None:
    """Render, encode and move into place, so that no half file ever bears the clip's name."""
    frames = render_clip(clip.label, clip.seed, clip.num_frames, clip.size, clip.difficulty)
    partial = clip.path.with_name(clip.path.name + PARTIAL)
    codec, options = ENCODERS[clip.path.suffix]
    container = 'webm' if clip.path.suffix == '.webm' else 'mp4'
    # Matroska's identifiers are drawn at random otherwise.
    with av.open(str(partial), 'w', format=container, options={'fflags': '+bitexact'}) as output:
        stream = output.add_stream(codec, rate=Fraction(clip.fps), options=options)
        stream.width = stream.height = clip.size
        stream.pix_fmt = 'yuv420p'
        stream.thread_count = 1
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        output.mux(stream.encode())
    os.replace(partial, clip.path)


def claim(args: argparse.Namespace) -> None:
    """Mark the folder with the options that decide its pixels.

    Raises:
        ValueError: The folder was made with other options.
    """
    names = ('seed', 'difficulty', 'size', 'frames', 'fps', 'codec')
    options = {'version': VERSION, **{name: getattr(args, name) for name in names}}
    path = args.out / 'options.json'
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            if options.get(name) != value:
                raise ValueError(
                    f'{args.out} was made with {name}={value}, now asked for '
                    f'{name}={options.get(name)}: give another --out or delete the folder'
                )
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(options, indent=2) + '\n')


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    missing = {codec for codec, _ in ENCODERS.values()} - av.codecs_available
    try:
        if missing:
            raise ValueError(f'PyAV was built without {missing}; install the wheel: pip install av')
        claim(args)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1

    start = time.time()
    for partial in args.out.rglob(f'*{PARTIAL}'):
        partial.unlink()
    clips = {split: clips_of(args, split) for split in SPLITS}
    everything = [clip for split in SPLITS for clip in clips[split]]
    for folder in {clip.path.parent for clip in everything}:
        folder.mkdir(parents=True, exist_ok=True)
    todo = [clip for clip in everything if not clip.path.exists()]
    context = multiprocessing.get_context('spawn')
    with context.Pool(args.workers, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        made = pool.imap_unordered(write_clip, todo, chunksize=8)
        console = Console(stderr=True)
        bar = track(made, 'MotionShapes', total=len(todo), console=console)
        for count, _ in enumerate(bar, start=1):
            if not console.is_terminal and count % 100 == 0:
                print(f'{count} of {len(todo)} clips', flush=True)
    for split in SPLITS:
        lines = [f'{c.path.relative_to(args.out).as_posix()} {c.label}\n' for c in clips[split]]
        write_text(args.out / f'{split}.txt', ''.join(lines))
    write_text(args.out / 'classes.txt', '\n'.join(CLASSES) + '\n')
    print(
        f'{args.out}: {len(todo)} clips made, {len(everything) - len(todo)} kept, '
        f'{time.time() - start:.0f} s'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
