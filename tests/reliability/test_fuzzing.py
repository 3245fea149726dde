"""Files that were changed at random: every reader reads them, or names them in one sentence."""

import io
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mmengine
import pytest
import torch

from mmaction_emim.datasets import annotations
from mmaction_emim.datasets.prepare.verify import _read_cache, _sum
from mmaction_emim.evaluation.dump import load_dump
from mmaction_emim.evaluation.leaderboard import read_entries, read_published
from mmaction_emim.evaluation.submission import check_submission, read_test_list
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint

TOKENS = [
    b'\xff', b'\0', b'\xc3\xa9', b'[', b'{', b'null', b'1e999', b'-1', b'9' * 30, b'"', b'\n',
    b'\r', b'&a', b'*a', b'<<: *a', b'- ', b'x' * 300, b'../', b'.', b'R', b'\x85', b'\x80\x05',
    b'r\xff\xff\xff\x7f',
]  # fmt: skip
SECONDS = 5  # of the processor, for one input


class Reader(NamedTuple):
    """What reads a file, and one that it reads."""

    name: str
    seed: Callable[[Path], bytes]
    read: Callable[[Path], object]


def saved(value: object, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def dumped(_: Path) -> bytes:
    sample = dict(pred_score=torch.ones(3), gt_label=torch.tensor([1]), video_id='a.mp4')
    return mmengine.dump([sample], file_format='pickle')


def weights(folder: Path) -> bytes:
    return saved(dict(model_state={'head.weight': torch.ones(2), 'blocks1.0.x': torch.ones(1)}))


def old_weights(folder: Path) -> bytes:
    return saved(dict(model_state=dict(x=torch.ones(2))), _use_new_zipfile_serialization=False)


def entries(folder: Path) -> bytes:
    (folder / 'x').touch()
    item = f'{{config: {folder}/x, checkpoint: {folder}/x, cfg_options: {{a.b: [1, 2]}}}}'
    return f'- {item}\n- {{config: {folder}/x, checkpoint: {folder}/x, name: b}}\n'.encode()


def cache(_: Path) -> bytes:
    entry = ['a', [1, 2], [20, '', 'digest', '']]
    return json.dumps([*entry, _sum(entry)]).encode() + b'\n'


READERS = [
    Reader('dump', dumped, load_dump),
    Reader('checkpoint', weights, read_checkpoint),
    Reader('old checkpoint', old_weights, read_checkpoint),
    Reader('leaderboard', entries, read_entries),
    Reader('published', lambda _: b'- {name: a, data: b, top1: 5, gflops: 7}\n', read_published),
    Reader('cache', cache, _read_cache),
    Reader('labels', lambda _: b'a\nb\nc\n', annotations.read_labels),
    Reader(
        'json',
        lambda _: b'[{"id": "1", "template": "a [b]"},\n{"id": "2", "template": "a [b]"}]',
        lambda path: annotations.read_sthv2(path, ['a b']),
    ),
    Reader(
        'csv',
        lambda _: b'label,youtube_id,time_start,time_end\na,x-Y,1,11\nb,"z",2.5,12\n',
        lambda path: annotations.read_kinetics(path, ['a', 'b']),
    ),
    Reader(
        'submission',
        lambda _: b'1;a;b;c;d;e\n2;a;b;c;d;e\n',
        lambda path: check_submission(path, {'1', '2'}, list('abcde'), 'something'),
    ),
    Reader('test list', lambda _: b'1\n2\n', lambda path: read_test_list(path, 'something')),
]
BY_NAME = {reader.name: reader for reader in READERS}


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Some bytes flipped, cut out, repeated, put in or cut off."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        at, length = draw.randrange(len(changed) + 1), draw.choice((1, 2, 8, 64))
        kind = draw.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = draw.randrange(256)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * draw.choice((1, 2, 50))
        elif kind == 4:
            changed[at:at] = draw.choice(TOKENS)
        elif draw.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def check(reader: Reader, path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # some file systems flush a file that is written anew
    path.write_bytes(data)
    start = time.process_time()
    try:
        reader.read(path)
    except ValueError as error:
        assert str(error).startswith(str(path)) and '\n' not in str(error), (data, error)
    except Exception as error:
        raise AssertionError(f'{reader.name}: {data!r}: {error!r}') from error
    assert time.process_time() - start < SECONDS, data


def fuzz(reader: Reader, folder: Path, count: int) -> None:
    draw, seed = random.Random(0), reader.seed(folder)
    path = folder / 'fuzzed'
    reader.read(seeded(path, seed))
    for _ in range(count):
        check(reader, path, mutate(seed, draw))


def seeded(path: Path, seed: bytes) -> Path:
    path.write_bytes(seed)
    return path


@pytest.mark.parametrize('reader', READERS, ids=BY_NAME)
def test_some(reader, tmp_path):
    fuzz(reader, tmp_path, 100)


@pytest.mark.parametrize(
    'name, data',
    [
        ('submission', b'1;a;b;c;d;e\n2;!;b;\r;d;e\n'),
        ('dump', b'\x80\x02]r\xff\xff\xff\x7f.'),
        ('dump', b'\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85X\x01\0\0\0O\x86R.'),
        ('cache', b'["a", [1, 2], 5]'),
        ('cache', b'[' * 100_000),
        ('leaderboard', b'- {config: , checkpoint: x}'),
        ('leaderboard', b'- {config: ' + b'x' * 300 + b', checkpoint: x}'),
        ('published', b'[' * 10_000),
        ('labels', b'a\n\xff'),
    ],
)
def test_finds(name, data, tmp_path):
    check(BY_NAME[name], tmp_path / 'found', data)


@pytest.mark.slow
@pytest.mark.parametrize('reader', READERS, ids=BY_NAME)
def test_ten_thousand(reader, tmp_path):
    fuzz(reader, tmp_path, 10_000)
