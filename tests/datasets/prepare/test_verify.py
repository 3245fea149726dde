import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from mmaction_emim.datasets.prepare.verify import (
    Verdict,
    _check_processes,
    _read_cache,
    check_frames,
    check_video,
    verify,
)

from ...official import FRAMES, clip, jpegs
from ..numbered_clips import KINDS

EQUAL = 'VP9, equal time stamps'


def killer(path: Path) -> Verdict:
    """Stands for a decoder that crashes on one file."""
    if path.stem == 'c':
        os.abort()
    return check_video(path)


def test_a_crash_costs_one_clip(tmp_path, root, monkeypatch):
    monkeypatch.syspath_prepend(root)  # for the processes, which import this file
    paths = {name: tmp_path / f'{name}.mp4' for name in 'abcdef'}
    for path in paths.values():
        path.write_bytes(clip())
    verdicts = verify(paths, killer, tmp_path / 'cache', workers=2)
    assert verdicts.pop('c').problem == 'undecodable: the decoder crashed'
    assert all(verdict.frames == FRAMES for verdict in verdicts.values())


def test_processes_that_end_by_themselves_are_not_blamed_on_clips():
    """As those of a script whose code is not below ``if __name__ == '__main__':``."""
    pool = partial(ProcessPoolExecutor, mp_context=get_context('forkserver'))
    _check_processes(pool)
    with pytest.raises(RuntimeError, match='no process can be started to decode clips; a script'):
        _check_processes(partial(pool, initializer=os.abort))


def test_decodes_again_only_what_changed_or_was_bad(tmp_path):
    paths = {name: tmp_path / f'{name}.webm' for name in 'abc'}
    for name, path in paths.items():
        path.write_bytes(clip('libvpx-vp9', 'abc'.index(name)) if name != 'c' else b'x')
    cache = tmp_path / 'cache'
    first = verify(paths, check_video, cache, workers=1)
    assert first['c'].problem.startswith('undecodable: ')
    assert first['a'].digest != first['b'].digest
    with open(cache, 'a') as file:
        file.write('["d", [1, 2], [2')  # a run that was stopped while it wrote
    paths['b'].write_bytes(clip('libvpx-vp9', 0) + b' ')
    paths['c'].write_bytes(clip('libvpx-vp9', 0))
    paths['d'] = tmp_path / 'd.webm'
    os.chmod(paths['a'], 0o644)
    again = verify(paths, check_video, cache, workers=1)
    assert [line[:4] for line in cache.read_text().splitlines() if line] == [
        '["a"', '["b"', '["d"', '["b"', '["c"',
    ]  # fmt: skip
    assert again['a'] == first['a'] == again['c'] != again['b']
    assert again['d'] == Verdict(0, 'missing', '')


@pytest.mark.parametrize(
    'line',
    [
        b'["a", [STAMP], [20, "", "x", ""]]',  # written before lines had a checksum
        b'["a", [STAMP], 5]', b'[[], [STAMP], [20, "", "x", ""], "x"]', b'7', b'[]', b'\xff\xfe',
        b'[' * 100_000, b'1' * 10_000,
    ],
)  # fmt: skip
def test_a_damaged_cache_costs_time_only(tmp_path, line):
    path, cache = tmp_path / 'a.webm', tmp_path / 'cache'
    path.write_bytes(clip('libvpx-vp9', 0))
    stat = path.stat()
    stamp = f'{stat.st_size}, {stat.st_mtime_ns}'.encode()
    cache.write_bytes(line.replace(b'STAMP', stamp) + b'\n')
    assert not _read_cache(cache)
    verdicts = verify(dict(a=path), check_video, cache, 1)
    assert verdicts['a'].frames == FRAMES
    assert verify(dict(a=path), pytest.fail, cache, 1) == verdicts  # decodes nothing


def test_no_flipped_bit_of_a_cache_is_read(tmp_path):
    path, cache = tmp_path / 'a.webm', tmp_path / 'cache'
    path.write_bytes(clip('libvpx-vp9', 0))
    verify(dict(a=path), check_video, cache, 1)
    line = cache.read_bytes()
    for bit in range(len(line) * 8 - 8):  # the last byte ends the line
        changed = bytearray(line)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / 'changed').write_bytes(changed)
        assert not _read_cache(tmp_path / 'changed'), changed


def test_time_stamps_are_looked_at(tmp_path):
    paths = {kind: tmp_path / f'{i}.webm' for i, kind in enumerate(('VP9, webm', EQUAL))}
    for kind, path in paths.items():
        KINDS[kind].make(path)
    remark = '26 of 40 frames with the time stamp of another'
    for _ in range(2):  # the second time from the cache
        verdicts = verify(paths, check_video, tmp_path / 'cache', workers=1)
        assert [verdicts[kind].remark for kind in paths] == ['', remark]
        assert not verdicts[EQUAL].problem


def test_folders_of_frames(tmp_path):
    frames = jpegs()

    def check(**changed):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for number, data in enumerate(frames, start=1):
            data = changed.get(f'f{number}', data)
            if data is not None:
                (folder / f'{number:05}.jpg').write_bytes(data)
        return check_frames(folder)

    assert check()[:2] == (FRAMES, '')
    assert check(f3=None).problem == 'undecodable: frame 00003.jpg of 20 is missing'
    assert check(f3=b'').problem == 'undecodable: frame 00003.jpg of 20 is empty'
    assert check(f1=b'no').problem == 'undecodable: 00001.jpg is no JPEG or PNG image'
    assert check(f20=frames[19][:-2]).problem == 'undecodable: 00020.jpg is cut short'
    assert check(f20=frames[19] + b'x' * 5000)[:2] == (FRAMES, '')
    assert check(**{f'f{n}': None for n in range(1, 21)}).problem == 'empty'
    (tmp_path / 'capital').mkdir()
    (tmp_path / 'capital' / '00001.JPG').write_bytes(frames[0])
    problem = 'undecodable: 00001.JPG must be named 00001.jpg'
    assert check_frames(tmp_path / 'capital').problem == problem
    assert check_frames(tmp_path / 'gone').problem == 'missing'
