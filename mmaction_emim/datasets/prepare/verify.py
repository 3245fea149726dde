"""Decodes every clip's first frame and reads all time stamps, in parallel; keeps what was good."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
from rich.console import Console
from rich.progress import track

from mmaction_emim.datasets.transforms import CheckedVideoInit

CHUNK = 32  # clips a task
HEAD = 1 << 16  # bytes that, with the size, tell whether two files hold the same


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        frames: How many the clip has; 0 where it is bad.
        problem: ``'missing'``, ``'empty'`` or ``'undecodable: why'``; ``''`` where it is good.
        digest: Equal for clips of the same content; ``''`` where it is bad.
        remark: What is odd about a good clip's time stamps; ``''`` if nothing.
    """

    frames: int
    problem: str
    digest: str
    remark: str = ''


Check = Callable[[Path], Verdict]


@cache
def _opener() -> CheckedVideoInit:
    return CheckedVideoInit()


def check_video(path: Path) -> Verdict:
    """Opens the clip as the training pipeline does, and decodes frame 0.

    Opening reads every packet, so that a clip with odd time stamps is told from what is known.

    Args:
        path: The video file.
    """
    try:
        size = path.stat().st_size
        if not size:
            return Verdict(0, 'empty', '')
        results = _opener()(dict(filename=str(path)))
        reader = results['video_reader']
        reader.get_batch([0])
        with open(path, 'rb') as file:
            digest = hashlib.blake2b(file.read(HEAD), digest_size=16).hexdigest()
    except FileNotFoundError:
        return Verdict(0, 'missing', '')
    except Exception as error:
        return Verdict(0, f'undecodable: {_first_line(error).removeprefix(f"{path}: ")}', '')
    return Verdict(len(reader), '', f'{size}-{digest}', reader.time_stamp_fault)


def check_frames(path: Path) -> Verdict:
    """A folder of ``00001.jpg``, ``00002.jpg`` …: no gap, none empty, both ends whole."""
    from mmaction_emim.datasets.transforms.image_end import image_problem  # seconds, as above

    if not path.is_dir():
        return Verdict(0, 'missing', '')
    sizes, capital = {}, None
    with os.scandir(path) as entries:
        for entry in entries:
            if re.fullmatch(r'[0-9]{5}\.jpg', entry.name):
                sizes[int(entry.name[:5])] = entry.stat().st_size
            elif re.fullmatch(r'[0-9]{5}\.jpg', entry.name.lower()):
                capital = entry.name
    if capital:
        return Verdict(0, f'undecodable: {capital} must be named {capital.lower()}', '')
    if not sizes:
        return Verdict(0, 'empty', '')
    count = max(sizes)
    for number in range(1, count + 1):
        if not sizes.get(number):
            what = 'empty' if number in sizes else 'missing'
            return Verdict(0, f'undecodable: frame {number:05}.jpg of {count} is {what}', '')
    digest = hashlib.blake2b(digest_size=16)
    for number in {1, count}:
        frame = path / f'{number:05}.jpg'
        data = frame.read_bytes()
        digest.update(data)
        if problem := image_problem(data):
            return Verdict(0, f'undecodable: {frame.name} {problem}', '')
        if cv2.imread(str(frame)) is None:
            return Verdict(0, f'undecodable: {frame.name} is no image', '')
    return Verdict(count, '', f'{sum(sizes.values())}-{digest.hexdigest()}')


def verify(
    paths: Mapping[str, Path], check: Check, cache_file: Path, workers: int
) -> dict[str, Verdict]:
    """A verdict on every clip. What was good before and did not change is not decoded again.

    A clip that kills its process, as decoders may, is undecodable; the others go on.

    Args:
        paths: By the clips' names.
        check: :func:`check_video` or :func:`check_frames`.
        cache_file: Keeps the good verdicts, one JSON line each with a checksum, written as they
            come.
        workers: Processes.

    Raises:
        ValueError: ``workers`` is below 1.
        RuntimeError: No process can be started.
    """
    if workers < 1:
        raise ValueError(f'--workers must be 1 or more, got {workers}')
    stamps = {name: _stamp(path) for name, path in paths.items()}
    known = _read_cache(cache_file)
    verdicts = {
        name: known[name][1]
        for name in paths
        if name in known and known[name][0] == stamps[name] is not None
    }
    verdicts |= {name: Verdict(0, 'missing', '') for name in paths if stamps[name] is None}
    todo = [name for name in paths if name not in verdicts]
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    with open(cache_file, 'a', encoding='utf-8') as file:
        if file.tell():
            file.write('\n')  # a run that was stopped may have left half a line
        done = _run({name: paths[name] for name in todo}, check, workers)
        for name, verdict in track(done, 'Decoding', len(todo), console=Console(stderr=True)):
            verdicts[name] = verdict
            if not verdict.problem:
                entry = [name, stamps[name], verdict]
                file.write(json.dumps([*entry, _sum(entry)]) + '\n')
                file.flush()
    return verdicts


def _stamp(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _read_cache(path: Path) -> dict[str, tuple[list[int], Verdict]]:
    """The verdicts by name; a line that is damaged, or has no checksum, costs time only."""
    known = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            *entry, checksum = json.loads(line)
            name, stamp, verdict = entry
            if checksum == _sum(entry):
                known[name] = stamp, Verdict(*verdict)
        except (ValueError, TypeError, RecursionError):
            continue
    return known


def _sum(entry: list) -> str:
    return hashlib.blake2b(json.dumps(entry).encode(), digest_size=8).hexdigest()


def _check_all(paths: dict[str, Path], check: Check) -> list[tuple[str, Verdict]]:
    return [(name, check(path)) for name, path in paths.items()]


def _run(paths: dict[str, Path], check: Check, workers: int) -> Iterator[tuple[str, Verdict]]:
    context = get_context('forkserver')  # imports once, and forks from a process without threads
    context.set_forkserver_preload([__name__])
    pool = partial(ProcessPoolExecutor, mp_context=context)
    names = iter(paths)
    while chunk := list(islice(names, workers * CHUNK * 16)):
        step = max(1, min(CHUNK, len(chunk) // workers))
        tasks = [{n: paths[n] for n in chunk[i : i + step]} for i in range(0, len(chunk), step)]
        left = {name for task in tasks for name in task}
        try:
            with pool(workers) as executor:
                pending = {executor.submit(_check_all, task, check) for task in tasks}
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        for name, verdict in future.result():
                            left.discard(name)
                            yield name, verdict
        except BrokenProcessPool:
            _check_processes(pool)
            for name in sorted(left):  # one of them kills its process: each in its own
                try:
                    with pool(1) as executor:
                        yield executor.submit(_check_all, {name: paths[name]}, check).result()[0]
                except BrokenProcessPool:
                    yield name, Verdict(0, 'undecodable: the decoder crashed', '')


def _check_processes(pool: Callable) -> None:
    """Refuse to blame the clips where processes end whatever they do."""
    try:
        with pool(1) as executor:
            executor.submit(int).result()
    except BrokenProcessPool:
        raise RuntimeError(
            'no process can be started to decode clips; a script of your own needs '
            "if __name__ == '__main__': around what it does"
        ) from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ' '.join((lines or [type(error).__name__])[0].split())
