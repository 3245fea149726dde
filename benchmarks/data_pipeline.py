"""Clips a second and core of the training pipelines, beside MMAction2's and bare decoding.

MMAction2's opens clips with decord, as it is released, by its private ``_get_video_reader``:

    python benchmarks/data_pipeline.py

MMAction2's RandAugment is pytorchvideo's, which needs torchvision: `pip install pytorchvideo
torchvision`. Where they cannot be imported, its pipeline is measured with our RandAugment alone.

Clips are generated: 426x240 VP9 webm of 45 frames, as Something-Something V2 has them, and 340x256
H.264 mp4 of 300 frames, as Kinetics is commonly stored. Times are CPU times of one process with all
its threads. An item is one clip, decoded once and augmented twice, as in the configs.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import av  # before decord: theirs are two builds of libvpx, and the first one is used
import cv2
import decord
import numpy as np
import torch
from mmaction.datasets.transforms import DecordInit
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmaction_emim  # noqa: F401
from mmaction_emim.datasets.reader import VideoReader

ROOT = Path(__file__).parents[1]
# Undoes the cure by which it opens clips as ours does.
DecordInit._get_video_reader = DecordInit._get_video_reader.__wrapped__
# name: config, file suffix, codec, (width, height), frames, frames a second, key frame every
SETS = {
    'sthv2': ('sthv2.py', 'webm', 'libvpx-vp9', (426, 240), 45, 12, 128),
    'kinetics400': ('kinetics400.py', 'mp4', 'libx264', (340, 256), 300, 30, 250),
}


def write_clip(path: Path, codec: str, size: tuple[int, int], frames: int, fps: int, key: int):
    """A textured background that pans, with a disc that moves across it."""
    rng = np.random.default_rng(int(path.stem))
    width, height = size
    texture = cv2.resize(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8), (2 * width, 2 * height))
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.options, stream.bit_rate = {'g': str(key)}, 400_000
        for i in range(frames):
            x, y = int(width * i / frames), int(height * (0.5 + 0.4 * np.sin(i / 9)))
            img = np.ascontiguousarray(texture[y : y + height, x : x + width])
            noise = rng.integers(-6, 6, img.shape, dtype=np.int16)
            img = np.clip(img + noise, 0, 255).astype(np.uint8)
            cv2.circle(img, (int(width * (1 - i / frames)), height // 2), 30, (240, 30, 60), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(img, format='rgb24')))
        container.mux(stream.encode())


@TRANSFORMS.register_module()
class OpenedByDecord:
    """As ``CheckedVideoInit``, without its checks: the least that decord costs."""

    def __call__(self, results: dict) -> dict:
        reader = decord.VideoReader(results['filename'], num_threads=1)
        return {**results, 'video_reader': reader, 'total_frames': len(reader)}


def upstream_rand_augment() -> dict | None:
    """MMAction2's, through a name that torchvision has made private since pytorchvideo was made."""
    try:
        from torchvision.transforms import _functional_tensor

        sys.modules.setdefault('torchvision.transforms.functional_tensor', _functional_tensor)
        import pytorchvideo.transforms  # noqa: F401
    except Exception as error:
        print(f"left out, MMAction2's RandAugment: {error}", file=sys.stderr)
        return None
    return dict(type='PytorchVideoWrapper', op='RandAugment', magnitude=7, num_layers=4)


def seconds(
    works: dict[str, Callable[[int], object]], items: int, rounds: int
) -> dict[str, list[float]]:
    """Mean seconds an item of each round; a round has all works, so that its ratios are fair."""
    times = {name: [] for name in works}
    for n in range(-1, rounds):  # the first one warms up
        for name, work in works.items():
            np.random.seed(n + 1)
            start = time.process_time()
            for i in range(items):
                work(i)
            if n >= 0:
                times[name].append((time.process_time() - start) / items)
    return times


def measure(folder: Path, name: str, items: int, rounds: int) -> dict[str, float]:
    """Seconds an item (one clip, two views) of each stage and of each whole."""
    config, suffix, codec, size, frames, fps, key = SETS[name]
    dataset = Config.fromfile(ROOT / 'configs/_base_/datasets' / config).train_dataloader.dataset
    for i in range(items):
        write_clip(folder / f'{i}.{suffix}', codec, size, frames, fps, key)
    (folder / 'list.txt').write_text(''.join(f'{i}.{suffix} 0\n' for i in range(items)))
    where = dict(ann_file='list.txt', data_root=str(folder), data_prefix=dict(video=''))
    ours = DATASETS.build({**dataset, **where})
    noise = dict(mode='rand', fill_color=114.75, fill_std=57.375)
    theirs = {
        'CheckedVideoInit': dict(type='DecordInit'),
        'NoiseErasing': dict(type='RandomErasing', erase_prob=0.25, **noise),
    }
    upstream_steps = [theirs.get(step['type'], step) for step in dataset.pipeline]
    repeat = dict(type='RepeatAugDataset', num_repeats=2, sample_once=True)
    rivals = {}
    for label, rand_augment in (('our', None), ('its', upstream_rand_augment())):
        if label == 'its' and rand_augment is None:
            continue
        pipeline = [
            rand_augment if rand_augment and s['type'] == 'RandAugment' else s
            for s in upstream_steps
        ]
        plain = DATASETS.build(dict(type='VideoDataset', pipeline=pipeline, **where))
        repeated = DATASETS.build(dict(**repeat, pipeline=pipeline, **where))
        with_it = f'with {label} RandAugment'
        rivals[f'MMAction2 VideoDataset, twice, {with_it}'] = lambda i, plain=plain: (
            plain[i],
            plain[i],
        )
        rivals[f'MMAction2 RepeatAugDataset, {with_it}'] = lambda i, data=repeated: data[i]

    with_decord = [dict(type='OpenedByDecord'), *dataset.pipeline[1:]]
    by_decord = DATASETS.build({**dataset, **where, 'pipeline': with_decord})
    rivals['ours, but opened by decord'] = lambda i: by_decord[i]
    steps = [TRANSFORMS.build(step) for step in dataset.pipeline]
    sampler = steps[1]
    paths = [str(folder / f'{i}.{suffix}') for i in range(items)]

    def bare(opened: Callable, i: int) -> None:
        reader = opened(paths[i])
        info = sampler(dict(total_frames=len(reader), start_index=0))
        reader.get_batch(info['frame_inds']).asnumpy()

    works = {
        'bare decoding, decord': partial(bare, partial(decord.VideoReader, num_threads=1)),
        'bare decoding, ours': partial(bare, VideoReader),
        'opening alone, decord': lambda i: decord.VideoReader(paths[i], num_threads=1),
        'opening alone, ours': lambda i: VideoReader(paths[i]),
        'ours': lambda i: ours[i],
        **rivals,
    }
    by_round = seconds(works, items, rounds)
    figures = {name: float(np.median(times)) for name, times in by_round.items()}
    for name in by_round.keys() - {'ours'}:
        ratios = np.divide(by_round[name], by_round['ours'])
        figures[f'ratio {name} / ours'] = float(np.median(ratios))
    # Each stage on inputs prepared by those before it.
    for step in steps:
        figures[f'stage {type(step).__name__}'] = 0.0
    for n in range(rounds * items):
        np.random.seed(n)
        info = ours.get_data_info(n % items)
        views = 1
        for step in steps:
            start = time.process_time()
            info = step(info)
            figures[f'stage {type(step).__name__}'] += (
                views * (time.process_time() - start) / (rounds * items)
            )
            views = 2 if 'imgs' in info else 1
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=12, help='generated clips of each kind')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json', type=Path, help='write the seconds here')
    args = parser.parse_args()
    cv2.setNumThreads(0)  # as MMEngine sets it in the workers
    torch.set_num_threads(1)  # as torch sets it in the workers
    init_default_scope('mmaction')
    costs = {}
    for name in SETS:
        with TemporaryDirectory() as folder:
            costs[name] = measure(Path(folder), name, args.clips, args.rounds)
    for name in SETS:
        for row in sorted(costs[name]):
            if row.startswith('ratio'):
                print(f'{name}: {row}: {costs[name].pop(row):.2f}')
    print(f'{os.cpu_count()} cores; an item is one clip decoded once and augmented twice\n')
    print('| | ' + ' | '.join(f'{name} ms | items/s' for name in SETS) + ' |')
    print('|---|' + '---|---|' * len(SETS))
    for row in costs['sthv2'] | costs['kinetics400']:
        cells = [
            f'{1e3 * costs[name][row]:.1f} | {1 / costs[name][row]:.1f}'
            if row in costs[name]
            else '|'
            for name in SETS
        ]
        print(f'| {row} | ' + ' | '.join(cells) + ' |')
    if args.json:
        args.json.write_text(json.dumps(costs, indent=2) + '\n')


if __name__ == '__main__':
    main()
