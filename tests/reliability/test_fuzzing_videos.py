"""Clips that were changed at random: frames of a size, or one sentence, and no process dies."""

import base64
import multiprocessing
import random
import time
import traceback
from pathlib import Path

import pytest

from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.transforms import CheckedVideoInit

from ..datasets import numbered_clips
from .damaged_clips import KINDS, mutate, outcome

SECONDS = 5  # of the processor, for one input


def fuzz(kind: str, folder: Path, count: int, seed: int = 0) -> None:
    """In a process of its own, whose end would be a find as well."""
    path = folder / f'a{numbered_clips.KINDS[kind].suffix}'
    numbered_clips.KINDS[kind].make(path)
    whole = VideoReader(path)
    whole = whole.get_batch(range(len(whole))).asnumpy()
    report = folder / 'report'
    context = multiprocessing.get_context('fork')
    process = context.Process(target=_fuzz, args=(path, whole, count, seed, report))
    process.start()
    process.join()
    said = report.read_text() if report.exists() else ''
    content = base64.b64encode(path.read_bytes()[:2000]).decode()
    assert process.exitcode == 0, f'{process.exitcode}\n{said}\n{content}'


def _fuzz(path: Path, whole, count: int, seed: int, report: Path) -> None:
    draw, data = random.Random(seed), path.read_bytes()
    inits = [CheckedVideoInit(), CheckedVideoInit(strict=True)]
    try:
        for i in range(count):
            path.unlink()  # some file systems flush a file that is written anew
            path.write_bytes(mutate(data, draw))
            start = time.process_time()
            outcome(inits[i % 2], path, whole)
            assert time.process_time() - start < SECONDS
    except BaseException:
        report.write_text(traceback.format_exc())
        raise


@pytest.mark.parametrize('kind', KINDS)
def test_some(kind, tmp_path):
    fuzz(kind, tmp_path, 20)


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_many(kind, tmp_path):
    fuzz(kind, tmp_path, 300, seed=1)


@pytest.mark.parametrize('kind', ['MPEG-4, avi', 'MPEG-2, ts'])
def test_strict_notices_what_ffmpeg_would_conceal(kind, tmp_path):
    """Decoders conceal in the one, the container knows in the other."""
    path = tmp_path / f'a{numbered_clips.KINDS[kind].suffix}'
    numbered_clips.KINDS[kind].make(path)
    whole = VideoReader(path)
    whole = whole.get_batch(range(len(whole))).asnumpy()
    draw, data, found = random.Random(0), path.read_bytes(), []
    while len(found) < 5:
        path.write_bytes(mutate(data, draw))
        if outcome(CheckedVideoInit(), path, whole) == 'other':
            found.append(outcome(CheckedVideoInit(strict=True), path, whole))
    assert 'error' in found
