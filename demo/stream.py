"""What a network says over time of a long video, a camera or a stream.

    python demo/stream.py long.mp4                                   # the network of demo/
    python demo/stream.py long.mp4 CONFIG CHECKPOINT LABELS --out timeline.json --out timeline.png
    python demo/stream.py rtsp://camera/1 emim_k400 epoch_110.pth --out timeline.csv
    python demo/stream.py 0 --seconds 60 --out annotated.mp4         # the first camera, a minute

Ctrl-C ends it; what was said until then is written.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import MMLogger

from mmaction_emim.apis import MotionInferencer, MotionStream, StreamWindow
from mmaction_emim.apis.timeline import annotated_frames_of, write_timeline
from mmaction_emim.datasets.stream_source import RECONNECTS, StreamSource
from mmaction_emim.utils.command_line import run
from mmaction_emim.visualization import check_suffix, write_pictures

HERE = Path(__file__).resolve().parent
CONFIG, CHECKPOINT = 'emim_motionshapes', HERE / 'emim_motionshapes.pth'
SHORT_SIDE = 64  # pixels of the frames that this network was trained on
VIDEOS = ('.mp4', '.gif')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='file, number of a camera, or address (rtsp, http, udp…)')
    parser.add_argument('config', nargs='?', help='file, or name as emim_k400')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument('labels', nargs='?', help='one class name a line; default: found by itself')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument('--span', type=int, help="frames of a window; default: the config's")
    parser.add_argument('--stride', type=int, help='frames between windows; default: span / 4')
    parser.add_argument('--batch-size', type=int, default=4, help='windows together; default: 4')
    parser.add_argument('--smooth', type=int, default=3, help='windows averaged; default: 3')
    parser.add_argument('--top-k', type=int, default=5)
    parser.add_argument(
        '--threshold',
        type=float,
        help='probability of a class that is there, of a network for several labels (0.5)',
    )
    parser.add_argument('--seconds', type=float, help='end after so many of the source')
    parser.add_argument('--reconnects', type=int, default=RECONNECTS, help='of a live source')
    parser.add_argument(
        '--short-side',
        type=int,
        help='scale larger frames down to so many pixels; default: as the config says, '
        f'with the network beside the demo {SHORT_SIDE}',
    )
    parser.add_argument('--no-reuse', action='store_true', help='compute every window anew')
    parser.add_argument(
        '--out',
        type=Path,
        action='append',
        default=[],
        help='.json, .csv, .png: timeline; .mp4, .gif: annotated video; several times',
    )
    args = parser.parse_args()
    if args.config and not args.checkpoint:
        raise ValueError(f'CHECKPOINT: {args.config} needs one')
    videos = [path for path in args.out if path.suffix.lower() in VIDEOS]
    if len(videos) > 1:
        raise ValueError(f'--out: one annotated video at a time, got {len(videos)}')
    for path in videos:
        check_suffix(path)
    MMLogger.get_instance('stream', log_level='WARNING')
    source = StreamSource(args.source, reconnects=args.reconnects)
    if args.short_side is None and not args.config:
        args.short_side = SHORT_SIDE
    inferencer = MotionInferencer(
        args.config or CONFIG,
        args.checkpoint or CHECKPOINT,
        args.device,
        args.labels,
        short_side=args.short_side,
        threshold=args.threshold,
    )
    stream = MotionStream(
        inferencer,
        args.span,
        args.stride,
        args.batch_size,
        args.smooth,
        False if args.no_reuse else None,
    )
    timeline = [path for path in args.out if path not in videos]
    windows = stream(source, args.top_k, with_images=bool(videos))
    windows = write_timeline(stream, until(windows, args.seconds), timeline, args.top_k)
    began = time.monotonic()
    if videos:
        write_pictures(annotated_frames_of(stream, said(windows)), videos[0], source.fps)
    else:
        for _ in said(windows):
            pass
    counts = {**stream.counts(), 'reconnected': source.reconnected, 'broken': source.broken}
    print(', '.join(f'{name.replace("_", " ")} {count}' for name, count in counts.items() if count))
    print(f'{stream.frames / (time.monotonic() - began):.0f} frames a second')
    if args.short_side:
        print(f'frames of more than {args.short_side} pixels (short side) are scaled down to that')
    if inferencer.threshold:
        print(f'answer: the classes with a probability of {inferencer.threshold:g} or more')
    for path in args.out:
        print(path)


def until(windows: Iterator[StreamWindow], seconds: float | None) -> Iterator[StreamWindow]:
    """Windows until one ends after so many seconds, or until the first Ctrl-C."""
    stop = []

    def on_interrupt(*_: object) -> None:
        stop.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        for window in windows:
            yield window
            if stop or (seconds is not None and window.end >= seconds):
                windows.close()
                return
    finally:
        signal.signal(signal.SIGINT, before)


def said(windows: Iterator[StreamWindow]) -> Iterator[StreamWindow]:
    """The windows, a line of each printed: the best class, or all that are there."""
    for window in windows:
        one = window.prediction
        guesses = one.top[:1] if one.labels is None else one.labels
        answer = ', '.join(f'{guess.probability:.3f}  {guess.name}' for guess in guesses)
        print(f'{window.start:9.2f} to {window.end:9.2f} s  {answer or one.answer}')
        yield window


if __name__ == '__main__':
    run(main)
