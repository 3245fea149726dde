"""All of it, in one call."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.device import get_device

from mmaction_emim.utils.files import write_text

from .clips import COLUMNS, SPLITS, OwnClip, find_clips, read_table, with_groups, with_splits
from .config import config_text
from .describe import describe_clips
from .lists import sort_clips, summary, write_lists
from .settings import choose

TABLES = ('.csv', '.tsv')


def prepare_own(
    source: Path,
    out: Path,
    configs: Path,
    *,
    root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    group_pattern: str | None = None,
    split_lists: Mapping[str, Path] | None = None,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
    network: str = 'small',
    several: bool = False,
    workers: int = 1,
) -> Iterator[str]:
    """Check clips, split them, and write lists, ``label_map.txt``, ``report.tsv`` and a config.

    The clips stay where they are. A config that is there already is kept: the new one is written
    beside it, as ``NAME.new.py``.

    Args:
        source: Folder of classes or of splits, see :func:`.own.clips.find_clips`, or a table, see
            :func:`.read_table`.
        out: Folder to write to; the config is named after it.
        configs: Folder of the project's configs.
        root: Folder that a table's paths are relative to. Default: the table's own.
        columns: Names of a table's columns.
        group_pattern: See :func:`.with_groups`.
        split_lists: See :func:`.with_splits`.
        shares: How much of each class goes to ``'val'`` and ``'test'``, where nothing says.
            Default: 0.2 and 0.
        seed: The split's.
        network: ``'small'``, fine-tuned, or ``'tiny'``, from scratch. Default: ``'small'``.
        several: Whether the clips of a table have several classes: in a cell, see
            :func:`.read_table`, or in several rows. Default: False.
        workers: Processes that decode. Default: 1.

    Yields:
        What a person has to know, a sentence or a short table at a time.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        ValueError: An argument or the source is not as above; the message says what is expected.
    """
    shares = {'val': 0.2, 'test': 0.0, **(shares or {})}
    _check(source, root, columns or {}, split_lists or {}, shares, several)
    others: list[str] = []
    if source.suffix.lower() in TABLES:
        root = root or source.parent
        clips = [_below(clip, root, source) for clip in read_table(source, columns, several)]
        joined = sorted({clip.label for clip in clips if {*clip.label} & {*'|;'}})
        if joined and not several:
            yield (
                f'{len(joined)} class cells hold | or ;, and each counts as one class, such as '
                f'{", ".join(joined[:5])}; --multi-label makes several of it'
            )
    else:
        root = source
        clips, others = find_clips(source)
    clips, contradicted = (_merged(clips), {}) if several else _once(clips)
    if group_pattern:
        clips = with_groups(clips, group_pattern)
    if split_lists:
        count = len(clips)
        clips = with_splits(clips, split_lists)
        if count > len(clips):
            yield f'{count - len(clips)} clips are in none of the split lists'
    found = describe_clips(root, [c.path for c in clips], out / '.verified.jsonl', workers)
    for path, labels in contradicted.items():
        found[path] = found[path]._replace(
            problem=f'listed in several classes, which --multi-label is for: {labels}'
        )
    result = sort_clips(root, clips, found, shares, seed)
    write_lists(out, result)
    yield from summary(result, others)
    train, val, test = (result.of(split) for split in SPLITS)
    if not (val or test):
        yield 'nothing is held out, so that the config validates on what it trains on'
    held_out = ('val.txt' if val else 'test.txt', 'test.txt' if test else 'val.txt')
    held_out = held_out if val or test else ('train.txt', 'train.txt')
    chosen = choose([found[clip.path] for clip in train], result.classes, network)
    text = config_text(
        f'{len(train)} clips of {len(result.classes)} classes to train on, {len(val)} to '
        f'validate, {len(test)} to test.',
        Path(os.path.relpath(configs, out.resolve())).as_posix(),
        out.as_posix(),
        '' if root.resolve() == out.resolve() else root.resolve().as_posix(),
        len(result.classes),
        chosen,
        network,
        held_out,
        several,
    )
    path = out / f'{out.resolve().name}.py'
    if path.exists() and path.read_bytes() != text.encode():
        yield f'{path} is yours and stays as it is'
        path = path.with_suffix('.new.py')
    write_text(path, text)
    if network == 'small' and get_device() == 'cpu':
        yield 'no GPU was found, and --network small is for one; --network tiny is for a CPU'
    yield f'{out / "report.tsv"}: every clip, its length, size, rate, codec, and why it is left out'
    yield f'{path}: a config for these clips, with its reasons; next: python tools/train.py {path}'


def _check(
    source: Path,
    root: Path | None,
    columns: Mapping[str, str],
    split_lists: Mapping[str, Path],
    shares: Mapping[str, float],
    several: bool,
) -> None:
    is_table = source.suffix.lower() in TABLES
    if not source.exists():
        raise FileNotFoundError(f'{source}: no such folder or table')
    if not is_table and source.is_file():
        raise ValueError(f'{source}: expected a folder, or a table named {" or ".join(TABLES)}')
    if not is_table and (root or columns or several):
        raise ValueError(
            f'{source}: --root, --columns and --multi-label are for tables, and this is a folder'
        )
    for what, given, known in (
        ('--columns', columns, COLUMNS),
        ('--split-lists', split_lists, SPLITS),
    ):
        for name in given:
            if name not in known:
                raise ValueError(f'{what}: expected {", ".join(known)}, got {name!r}')
    for split, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f'--{split}: expected a share of 0 or more, below 1, got {share}')
    if sum(shares.values()) >= 1:
        raise ValueError(f'--val and --test: {sum(shares.values()):g} of the clips leave none')


def _below(clip: OwnClip, root: Path, table: Path) -> OwnClip:
    """The clip with its path relative to ``root``.

    Raises:
        ValueError: It is not below it.
    """
    path = os.path.relpath(os.path.join(root.absolute(), clip.path), root.absolute())
    if path.split(os.sep)[0] == os.pardir:
        raise ValueError(f'{table}: {clip.path!r} is not in {root}; give --root')
    return clip._replace(path=Path(path).as_posix())


def _merged(clips: list[OwnClip]) -> list[OwnClip]:
    """The clips with distinct paths, each with the classes of all its rows."""
    first: dict[str, OwnClip] = {}
    for clip in clips:
        known = first.setdefault(clip.path, clip)
        new = [label for label in clip.labels if label not in known.labels]
        first[clip.path] = known._replace(more=(*known.more, *new))
    return list(first.values())


def _once(clips: list[OwnClip]) -> tuple[list[OwnClip], dict[str, str]]:
    """The clips with distinct paths, and the classes of those that are listed in several."""
    first: dict[str, OwnClip] = {}
    labels: dict[str, set[str]] = {}
    for clip in clips:
        first.setdefault(clip.path, clip)
        labels.setdefault(clip.path, set()).add(clip.label)
    several = {path: ', '.join(sorted(names)) for path, names in labels.items() if len(names) > 1}
    return list(first.values()), several
