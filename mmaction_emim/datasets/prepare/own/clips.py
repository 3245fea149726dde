"""Finds the clips of a folder or a table, with their classes, groups and splits."""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mmaction_emim.datasets.annotations import AnnotationError
from mmaction_emim.datasets.reader import VIDEO_SUFFIXES
from mmaction_emim.utils.files import read_text, walk

SPLITS = ('train', 'val', 'test')
_SPLIT_NAMES = {
    'train': 'train',
    'training': 'train',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
    'dev': 'val',
    'test': 'test',
    'testing': 'test',
}
_LIKE_A_SPLIT = re.compile(
    rf'({"|".join(_SPLIT_NAMES)})[\W_\d]*(set|split|data|clips?|videos?)?[\W_\d]*', re.I
)
# What a column of a table may be called; the first names are those that errors and docs say.
COLUMNS = {
    'path': ('path', 'video', 'file', 'filename', 'clip', 'video_path', 'video_name', 'name'),
    'class': ('class', 'label', 'action', 'category', 'class_name'),
    'group': ('group', 'person', 'subject', 'actor', 'scene'),
    'split': ('split', 'set', 'subset', 'partition'),
}


class OwnClip(NamedTuple):
    """A clip as it was found.

    Attributes:
        path: Relative to the folder of the clips, with ``/``.
        label: Name of its class.
        group: Clips of one group (a person, a scene) belong into one split. None: it is alone.
        split: ``'train'``, ``'val'``, ``'test'``, or None where nothing says.
        more: Names of its further classes, where clips have several.
    """

    path: str
    label: str
    group: str | None = None
    split: str | None = None
    more: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all its classes."""
        return self.label, *self.more


def find_clips(folder: Path) -> tuple[list[OwnClip], list[str]]:
    """The videos of a folder of classes, or of a folder of splits that hold classes.

    A class is a folder, and its clips are anywhere below it. Folders are splits where all that hold
    clips are called train, val, test or alike, in any letter case.

    Returns:
        The clips, and the paths of files that are no videos by their suffix or are in no class, and
        of empty folders, with a ``/`` behind.

    Raises:
        FileNotFoundError: ``folder`` is none.
        OSError: A folder in it cannot be read.
        ValueError: No folder in it holds a video, or some of the folders seem to be splits and some
            do not.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    videos, others = [], []
    for where, names in walk(folder):
        for name in names:
            path = (where / name).relative_to(folder).as_posix()
            is_video = os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
            (videos if is_video else others).append(path)
        if where != folder and all(x.name.startswith('.') for x in where.iterdir()):
            others.append(f'{where.relative_to(folder).as_posix()}/')
    tops = {path.split('/')[0] for path in videos if '/' in path}
    by_split = bool(tops) and all(name.lower() in _SPLIT_NAMES for name in tops)
    if not by_split:
        _refuse_a_mixture(folder, videos, tops)
    depth = 1 if by_split else 0
    clips = []
    for path in videos:
        parts = path.split('/')
        if len(parts) < depth + 2:
            others.append(path)
            continue
        split = _SPLIT_NAMES[parts[0].lower()] if by_split else None
        clips.append(OwnClip(path, parts[depth].strip(), split=split))  # as label maps are read
    if not clips:
        raise ValueError(
            f'{folder}: no video in a folder of its own class; expected CLASS/clip.mp4, '
            'train/CLASS/clip.mp4 or a table (docs/own_data.md)'
        )
    return clips, others


def _refuse_a_mixture(folder: Path, videos: Iterable[str], tops: Iterable[str]) -> None:
    """Folders that seem to hold classes, by their names and depth, beside what is no split."""
    of_clips = {path.split('/')[0] for path in videos if path.count('/') == 1}
    likely = sorted(name for name in tops if _LIKE_A_SPLIT.fullmatch(name) and name not in of_clips)
    if likely:
        others = sorted(name for name in tops if name.lower() not in _SPLIT_NAMES)
        raise ValueError(
            f'{folder}: {", ".join(likely)} would be classes, since {", ".join(others[:5])} '
            f'{"is" if len(others) == 1 else "are"} no split; splits are called '
            f'{", ".join(_SPLIT_NAMES)}, and nothing else is beside them; a table names classes as '
            'it likes (docs/own_data.md)'
        )


def read_table(
    path: Path, columns: Mapping[str, str] | None = None, several: bool = False
) -> list[OwnClip]:
    """The clips of a CSV file: a header, then a clip a line; between values ``,``, ``;`` or a tab.

    Args:
        path: The table.
        columns: Names of its columns for ``'path'``, ``'class'``, ``'group'`` and ``'split'``,
            where they are none of ``COLUMNS``. The last two may be missing.
        several: Whether clips have several classes, with ``|`` or ``;`` between them. Default
            False.

    Raises:
        AnnotationError: ``file:line`` and what is wrong there.
    """
    text = read_text(path, AnnotationError)
    header_line = text.split('\n', 1)[0]
    delimiter = max(',;\t', key=header_line.count)
    rows = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    clips, found, width = [], {}, 0
    try:
        for row in rows:
            where = f'{path}:{rows.line_num}'
            if not found:
                found = _columns([name.strip() for name in row], columns or {}, where)
                width = len(row)
            elif any(value.strip() for value in row):
                between = '|' if delimiter == ';' else '|;'
                clips.append(_row(row, found, width, where, between if several else ''))
    except csv.Error as error:
        raise AnnotationError(f'{path}:{max(rows.line_num, 1)}: {error}') from None
    if not clips:
        raise AnnotationError(f'{path}:1: the table holds no clip')
    return clips


def _columns(header: list[str], given: Mapping[str, str], where: str) -> dict[str, int]:
    lower = [name.lower() for name in header]
    found = {}
    for what, names in COLUMNS.items():
        if what in given:
            if given[what] not in header:
                raise AnnotationError(
                    f'{where}: no column {given[what]!r}; the header has {", ".join(header)}'
                )
            found[what] = header.index(given[what])
            continue
        if name := next((name for name in names if name in lower), None):
            found[what] = lower.index(name)
    for what in ('path', 'class'):
        if what not in found:
            raise AnnotationError(
                f'{where}: no column for the {what} ({", ".join(COLUMNS[what][:4])}); the header '
                f'has {", ".join(header)}: give --columns {what}=NAME'
            )
    return found


def _row(
    row: list[str], columns: Mapping[str, int], width: int, where: str, between: str
) -> OwnClip:
    if len(row) <= max(columns.values()):
        raise AnnotationError(f'{where}: {len(row)} values, fewer than the header has')
    if any(value.strip() for value in row[width:]):
        raise AnnotationError(
            f'{where}: {len(row)} values, more than the header has; put one that holds the '
            'separator into "…"'
        )
    values = {what: row[at].strip() for what, at in columns.items()}
    for what in ('path', 'class'):
        if not values[what]:
            raise AnnotationError(f'{where}: the {what} is empty')
    split = values.get('split') or None
    if split and split.lower() not in _SPLIT_NAMES:
        raise AnnotationError(f'{where}: split must be one of {", ".join(SPLITS)}, got {split!r}')
    labels = re.split(f'[{between}]', values['class']) if between else [values['class']]
    labels = list(dict.fromkeys(filter(None, map(str.strip, labels))))
    if not labels:
        raise AnnotationError(f'{where}: the class is empty')
    return OwnClip(
        values['path'].replace('\\', '/'),
        labels[0],
        values.get('group') or None,
        split and _SPLIT_NAMES[split.lower()],
        tuple(labels[1:]),
    )


def with_groups(clips: Iterable[OwnClip], pattern: str) -> list[OwnClip]:
    """The clips with groups from their paths.

    Args:
        clips: As they were found.
        pattern: Regular expression, searched in the path; the group is what its parentheses hold,
            or all that it matches. A clip that it does not match keeps what it had.

    Raises:
        ValueError: It is no regular expression, or matches no clip.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f'--group-pattern {pattern!r} is no regular expression: {error}') from None
    out, matched = [], 0
    for clip in clips:
        match = compiled.search(clip.path)
        matched += match is not None
        if match:
            parts = [part for part in match.groups() if part is not None] or [match[0]]
            clip = clip._replace(group='/'.join(parts))
        out.append(clip)
    if not matched:
        raise ValueError(
            f'--group-pattern {pattern!r} matches no path, such as {out[0].path if out else ""!r}'
        )
    return out


def with_splits(clips: Iterable[OwnClip], lists: Mapping[str, Path]) -> list[OwnClip]:
    """The clips with splits from lists: a path a line, what follows it after a space is not read.

    Args:
        clips: As they were found.
        lists: By ``'train'``, ``'val'``, ``'test'``. Clips in none of them are left out.

    Raises:
        AnnotationError: A line names no clip, or one that another list names.
    """
    by_path = {clip.path: clip for clip in clips}
    placed: dict[str, OwnClip] = {}
    for split, path in lists.items():
        for where, line in _lines(path):
            name = next((name for name in _readings(line) if name in by_path), None)
            if name is None:
                raise AnnotationError(f'{where}: no clip {line.split()[0]!r} was found')
            if placed.setdefault(name, by_path[name]._replace(split=split)).split != split:
                raise AnnotationError(f'{where}: {name} is in {placed[name].split}, too')
            placed[name] = by_path[name]._replace(split=split)
    return [placed[clip.path] for clip in by_path.values() if clip.path in placed]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_text(path, AnnotationError).splitlines(), start=1):
        if line.strip():
            yield f'{path}:{number}', line.strip()


def _readings(line: str) -> Iterator[str]:
    """What the path may be: a path may hold spaces."""
    line = line.replace('\\', '/')
    while line:
        yield line
        line = re.sub(r'\s*\S+$', '', line)
