"""Miniatures of the official downloads, in the official formats: archives, csv and json."""

import csv
import io
import json
import tarfile
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

MIRRORED = [
    'Moving something down',
    'Moving something up',
    'Pushing something from left to right',
    'Pushing something from right to left',
]
TEMPLATES = MIRRORED + [f'Doing thing {i:03} with something' for i in range(170)]
FRAMES = 20


@cache
def clip(codec: str = 'libx264', seed: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A clip of 20 frames of noise as an mp4 or, with libvpx-vp9, as a webm."""
    file = io.BytesIO()
    frames = np.random.default_rng(seed).integers(0, 255, (FRAMES, 6, 8, 3), dtype=np.uint8)
    with av.open(file, 'w', format='webm' if 'vp9' in codec else 'mp4') as output:
        stream = output.add_stream(codec, rate=12)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        output.mux(stream.encode())
    return file.getvalue()


def jpegs(seed: int = 0, count: int = FRAMES) -> list[bytes]:
    frames = np.random.default_rng(seed).integers(0, 255, (count, 48, 64, 3), dtype=np.uint8)
    return [cv2.imencode('.jpg', frame)[1].tobytes() for frame in frames]


def tar_gz(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def write_parts(folder: Path, stem: str, data: bytes, parts: int = 3) -> None:
    """``data``, split as by ``split --numeric-suffixes``."""
    folder.mkdir(parents=True, exist_ok=True)
    step = len(data) // parts + 1
    for i in range(parts):
        (folder / f'{stem}-{i:02}').write_bytes(data[i * step : (i + 1) * step])


def _split(train: int, val: int) -> dict[str, range]:
    first = train + val + 1
    return dict(
        train=range(1, train + 1),
        validation=range(train + 1, first),
        test=range(first, first + 2),
    )


def write_sthv1(folder: Path, train: int = 8, val: int = 4) -> None:
    """So many training and validation clips of four classes, and 2 test clips."""
    ids_of = _split(train, val)
    stem = '20bn-something-something-v1'
    files = {
        f'{stem}/{i}/{n:05}.jpg': data
        for i in range(1, train + val + 3)
        for n, data in enumerate(jpegs(i), start=1)
    }
    write_parts(folder, stem, tar_gz(files))
    names = [TEMPLATES[-1], *TEMPLATES[:-1]]  # no alphabetical order
    (folder / 'something-something-v1-labels.csv').write_text('\n'.join(names) + '\n')
    for split in ('train', 'validation'):
        lines = [f'{i};{MIRRORED[i % 4]}\n' for i in ids_of[split]]
        (folder / f'something-something-v1-{split}.csv').write_text(''.join(lines))
    (folder / 'something-something-v1-test.csv').write_text(
        ''.join(f'{i}\n' for i in ids_of['test'])
    )


def write_sthv2(folder: Path, train: int = 8, val: int = 4) -> None:
    """So many training and validation clips of four classes, and 2 test clips."""
    stem = '20bn-something-something-v2'
    files = {f'{stem}/{i}.webm': clip('libvpx-vp9', i) for i in range(1, train + val + 3)}
    write_parts(folder, stem, tar_gz(files))
    labels = {name: str(i) for i, name in enumerate(TEMPLATES)}
    (folder / 'labels').mkdir()
    (folder / 'labels' / 'labels.json').write_text(json.dumps(labels, indent=1))
    for split, ids in _split(train, val).items():
        records = [dict(id=str(i)) for i in ids]
        for record in records if split != 'test' else ():
            template = MIRRORED[int(record['id']) % 4].replace('something', '[something]')
            record |= dict(label='a box', template=template, placeholders=['a box'])
        (folder / 'labels' / f'{split}.json').write_text(json.dumps(records, indent=1))


def write_kinetics(
    folder: Path, classes: int, train: int | None = None, val: int | None = None
) -> None:
    """A list of a training clip of every class and 4 validation clips; so many are there."""
    header = ['label', 'youtube_id', 'time_start', 'time_end', 'split', 'is_cc']
    for split, count, kept in (('train', classes, train), ('val', 4, val)):
        rows = [
            [f'class {i:03}', f'{split}_{i:05}'[:11], i, i + 10, split, 0] for i in range(count)
        ]
        with open(folder / f'{split}.csv', 'w', newline='') as file:
            csv.writer(file).writerows([header, *rows])
        files = {f'./{r[1]}_{r[2]:06}_{r[3]:06}.mp4': clip(seed=r[2] % 8) for r in rows[:kept]}
        (folder / split).mkdir()
        half = len(files) // 2
        for part, names in enumerate((list(files)[:half], list(files)[half:])):
            data = tar_gz({name: files[name] for name in names})
            (folder / split / f'part_{part}.tar.gz').write_bytes(data)


def write_diving48(folder: Path, train: int = 8, val: int = 4) -> None:
    """So many training and test clips."""
    vocab = [['Back', f'{i}som', 'NoTwis', 'PIKE'] for i in range(48)]
    (folder / 'Diving48_vocab.json').write_text(json.dumps(vocab))
    files = {}
    for split, count in (('train', train), ('test', val)):
        names = [f'{split}-xY_{i:05}' for i in range(count)]
        records = [
            dict(vid_name=name, label=i * 5, start_frame=0, end_frame=FRAMES)
            for i, name in enumerate(names)
        ]
        (folder / f'Diving48_V2_{split}.json').write_text(json.dumps(records))
        files |= {f'rgb/{name}.mp4': clip(seed=i) for i, name in enumerate(names)}
    (folder / 'Diving48_rgb.tar.gz').write_bytes(tar_gz(files))
