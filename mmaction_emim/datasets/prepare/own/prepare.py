"""All of it, in one call."""

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from mmengine.device import get_device

from mmaction_emim.utils.files import read_text, write_text

from .clips import COLUMNS, SPLITS, OwnClip, find_clips, read_table, with_groups, with_splits
from .config import config_text
from .describe import describe_clips
from .lists import REPORT, check_out, sort_clips, summary, write_lists
from .settings import choose

TABLES = ('.csv', '.tsv')
_OF_THE_CLIPS = ('data_root', 'videos', 'num_classes')  # variables that the lists go with


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
    beside it, as ``NAME.new.py``, or ``NAME.new2.py`` and so on where that is there, too.

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
            ``out`` holds lists that this did not write.
    """
    shares = {'val': 0.2, 'test': 0.0, **(shares or {})}
    _check(source, root, columns or {}, split_lists or {}, shares, several)
    check_out(out)
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
        if not (group_pattern or split_lists):
            yield from _about_folders(clips)
    by_path = _by_path(clips, source)
    clips, contradicted = ([*by_path.values()], {}) if several else _of_one_class(by_path)
    if group_pattern:
        clips = with_groups(clips, group_pattern)
    if split_lists:
        found_clips = len(clips)
        clips = with_splits(clips, split_lists)
        if found_clips > len(clips):
            yield f'{found_clips - len(clips)} clips are in none of the split lists'
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
        _seen_from(out, configs),
        out.as_posix(),
        '' if root.resolve() == out.resolve() else root.resolve().as_posix(),
        len(result.classes),
        chosen,
        network,
        held_out,
        several,
    )
    yours = path = out / f'{out.resolve().name}.py'
    for number in count(1):
        if not path.exists() or path.read_bytes() == text.encode():
            break
        path = yours.with_suffix(f'.new{number if number > 1 else ""}.py')
    if path != yours:
        yield f'{yours} is yours and stays as it is{_unlike(yours, text)}'
    write_text(path, text)
    if network == 'small' and get_device() == 'cpu':
        yield 'no GPU was found, and --network small is for one; --network tiny is for a CPU'
    yield f'{out / REPORT}: every clip, its length, size, rate, codec, and why it is left out'
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


def _seen_from(out: Path, configs: Path) -> str:
    """The path of ``configs`` from a config in ``out``; in full where ``out`` is behind a link.

    MMEngine takes ``..`` away from the path's text, where the link's own folder is meant.
    """
    place = os.path.abspath(out)
    if place != os.path.realpath(out):
        return configs.resolve().as_posix()
    return Path(os.path.relpath(configs.resolve(), place)).as_posix()


def _about_folders(clips: Sequence[OwnClip]) -> Iterator[str]:
    """Where folders lie in the classes' own, what they may be and what follows."""
    folders = [os.path.dirname(clip.path) for clip in clips if clip.split is None]
    below = sorted({folder for folder in folders if '/' in folder})
    if len(below) > 1:
        yield (
            f'{len(below)} folders lie in those of the classes, such as {below[0]}: a class is the '
            f'first folder, here {below[0].split("/")[0]}; where the next one is a person or a '
            "scene, --group-pattern '^[^/]+/([^/]+)/' keeps it on one side"
        )


def _unlike(config: Path, text: str) -> str:
    """In which variables a config that stays goes with other clips than these."""
    was, is_now = _constants(read_text(config)), _constants(text)
    other = [
        f'{name} = {was[name]!r}, where the lists have {is_now[name]!r}'
        for name in _OF_THE_CLIPS
        if name in was and was[name] != is_now[name]
    ]
    return f'; it has {", ".join(other)}' if other else ''


def _constants(text: str) -> dict[str, Any]:
    """What a config's variables are at its top, where they are constants."""
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return {}
    return {
        target.id: statement.value.value
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _by_path(clips: Sequence[OwnClip], table: Path) -> dict[str, OwnClip]:
    """The clips by their paths, each with what all its rows say.

    Raises:
        ValueError: A clip's rows name two splits or two groups.
    """
    found: dict[str, OwnClip] = {}
    for clip in clips:
        known = found.setdefault(clip.path, clip)
        said = {}
        for what in ('split', 'group'):
            one, other = getattr(known, what), getattr(clip, what)
            if None not in (one, other) and one != other:
                raise ValueError(f'{table}: {clip.path} has two {what}s, {one} and {other}')
            said[what] = other if one is None else one
        new = [label for label in clip.labels if label not in known.labels]
        found[clip.path] = known._replace(more=(*known.more, *new), **said)
    return found


def _of_one_class(clips: Mapping[str, OwnClip]) -> tuple[list[OwnClip], dict[str, str]]:
    """The clips with the first of their classes, and the classes of those that have several."""
    several = {path: ', '.join(sorted(x.labels)) for path, x in clips.items() if x.more}
    return [clip._replace(more=()) for clip in clips.values()], several
