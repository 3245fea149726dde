"""Streams: what reused frames save, and memory over an hour.

    python benchmarks/stream.py              # TSN-R50 with EMIMNeck: frames reused or not
    python benchmarks/stream.py --hour       # demo/'s network over an hour of generated video

The first is one window of 8 frames that moved on by one of them, without decoding. The second runs
every part: decoding, windows, network, timeline as JSON, CSV and PNG.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import mmap
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch
from measure import machine, measure, print_table, ratio
from mmengine.config import Config

from mmaction_emim.apis import MotionInferencer, MotionStream
from mmaction_emim.apis.timeline import write_timeline
from mmaction_emim.models.frame_memory import FrameMemory

ROOT = Path(__file__).resolve().parents[1]
T, SIDE, FPS, MINUTES = 8, 224, 10, 60


def reuse(rounds: int, seconds: float) -> None:
    model = dict(
        type='Recognizer2D',
        backbone=dict(type='ResNet', depth=50, pretrained=None),
        neck=dict(type='EMIMNeck', in_channels=2048),
        cls_head=dict(type='TSNHead', num_classes=174, in_channels=2048),
        data_preprocessor=dict(
            type='ActionDataPreprocessor', mean=[114.0] * 3, std=[57.0] * 3, format_shape='NCHW'
        ),
    )
    pipeline = [
        dict(type='SampleFrames', clip_len=1, num_clips=T, test_mode=True),
        dict(type='DecordDecode'),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='PackActionInputs'),
    ]
    config = Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    inferencer = MotionInferencer(config, device='cpu', show_progress=False)
    torch.nn.init.normal_(inferencer.model.neck.attn.proj.weight, std=0.02)
    images = torch.randn(T, 3, SIDE, SIDE)
    memory = FrameMemory(inferencer.model)
    keys = list(range(T))

    @torch.no_grad()
    def whole() -> torch.Tensor:
        window = images[[key % T for key in keys]]
        return inferencer.model(window[None], mode='tensor', stage='head')

    def moved_on() -> torch.Tensor:
        keys[:] = range(keys[0] + 1, keys[0] + 1 + T)
        return memory.score(keys, lambda new: images[[key % T for key in new]])

    memory.score(keys, lambda new: images)
    difference = (moved_on() - whole()).abs().max().item()
    times = measure({'reused': moved_on, 'anew': whole}, rounds, 'cpu', seconds)
    print(f'{machine("cpu")}\nlargest difference of a score: {difference:.1e}\n')
    rows = (
        [name, f'{np.median(times[name]) * 1e3:.0f}', ratio(times, name, 'anew')] for name in times
    )
    print_table(['frames', 'ms a window', '/ anew'], rows)


def hour(stride: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_hour(folder / 'hour.mp4')
        inferencer = MotionInferencer(
            'emim_motionshapes', ROOT / 'demo/emim_motionshapes.pth', 'cpu'
        )
        stream = MotionStream(inferencer, stride=stride)
        paths = [folder / f'timeline{suffix}' for suffix in ('.json', '.csv', '.png')]
        told, start = [], time.monotonic()
        for window in write_timeline(stream, stream(folder / 'hour.mp4'), paths):
            if window.end >= 60 * (MINUTES / 6 * len(told) + 1):
                told.append([f'{window.end / 60:.0f}', f'{stream.windows}', f'{megabytes():.0f}'])
        told.append([f'{MINUTES}', f'{stream.windows}', f'{megabytes():.0f}'])
        rate = stream.frames / (time.monotonic() - start)
    print(f'{machine("cpu")}\n{stream.frames} frames of 64 x 48, {rate:.0f} a second\n')
    print_table(['minute', 'windows', 'resident MB'], told)


def megabytes() -> float:
    return int(Path('/proc/self/statm').read_text().split()[1]) * mmap.PAGESIZE / 1e6


def write_hour(path: Path) -> None:
    """A disc that goes round, the other way every minute."""
    y, x = np.mgrid[:48, :64]
    with av.open(str(path), 'w') as video:
        stream = video.add_stream('libx264', rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.options = dict(preset='ultrafast')
        for i in range(MINUTES * 60 * FPS):
            angle = i / 8 * (1 if i // (60 * FPS) % 2 else -1)
            image = np.full((48, 64, 3), 90, np.uint8)
            image[(x - 32 - 16 * np.cos(angle)) ** 2 + (y - 24 - 14 * np.sin(angle)) ** 2 < 40] = (
                220
            )
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        video.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hour', action='store_true')
    parser.add_argument('--stride', type=int, default=12, help='of the hour; default: 12')
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=60)
    args = parser.parse_args()
    if args.hour:
        hour(args.stride)
    else:
        reuse(args.rounds, args.seconds)


if __name__ == '__main__':
    main()
