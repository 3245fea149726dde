"""Reads the official annotation files of the datasets, strictly.

Whatever is wrong with a file's content ends in an :class:`AnnotationError` that starts with
``file:line:``. A clip's name is checked, so that it can be a file's name.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmaction_emim.utils.files import read_text

_SPACE = re.compile(r'[ \t\r\n]*')


class AnnotationError(ValueError):
    """An official file is not as published; the message starts with ``file:line:``."""


class Clip(NamedTuple):
    """A line of an official list.

    Attributes:
        name: Name of the file without its suffix, or of the folder of frames.
        label: Index of the class; None where the file does not say.
        where: ``file:line``.
    """

    name: str
    label: int | None
    where: str


def read_labels(path: Path) -> list[str]:
    """Class names in the order of their labels.

    Args:
        path: ``labels.json`` of Something-Something V2, ``{name: "label"}``; any other suffix: one
            name a line, as ``labels.csv`` of V1 and every ``label_map.txt``.
    """
    names: dict[str, int] = {}
    if path.suffix == '.json':
        entries = ((where, key, value) for where, key, value in _walk(path, '{}'))
    else:
        entries = ((where, line, i) for i, (where, line) in enumerate(_lines(path)))
    for where, name, value in entries:
        _check_name(where, name)
        if name in names:
            raise AnnotationError(f'{where}: the class {name!r} is there twice')
        if isinstance(value, bool) or not re.fullmatch('[0-9]{1,6}', str(value)):
            raise AnnotationError(f'{where}: expected a label (0, 1, …) of {name!r}, got {value!r}')
        names[name] = int(value)
    if not names:
        raise AnnotationError(f'{path}:1: the file names no class')
    if sorted(names.values()) != list(range(len(names))):
        missing = min(set(range(len(names))) - set(names.values()))
        raise AnnotationError(f'{path}:1: {len(names)} classes, but none has label {missing}')
    return sorted(names, key=names.__getitem__)


def read_sthv1(path: Path, classes: Sequence[str] | None) -> list[Clip]:
    """``id;class name`` lines of Something-Something V1; ``id`` alone where classes is None."""
    labels = {name: i for i, name in enumerate(classes or ())}
    clips = []
    for where, line in _lines(path):
        name, _, text = line.partition(';')
        _check_clip(where, name.strip(), '[0-9]{1,18}', 'a number')
        label = None if classes is None else _label(where, text.strip(), labels)
        clips.append(Clip(name.strip(), label, where))
    return clips


def read_sthv2(path: Path, classes: Sequence[str] | None) -> list[Clip]:
    """JSON of Something-Something V2: ``[{"id": "1", "template": "Moving [something] up"}, …]``.

    Args:
        classes: As in ``labels.json``: templates without brackets. None: the test split, ids only.
    """
    labels = {name: i for i, name in enumerate(classes or ())}
    clips = []
    for where, record in _walk(path, '[]'):
        name = str(_field(where, record, 'id', (str, int)))
        _check_clip(where, name, '[0-9]{1,18}', 'a number')
        label = None
        if classes is not None:
            template = _field(where, record, 'template', (str,))
            label = _label(where, template.replace('[', '').replace(']', ''), labels)
        clips.append(Clip(name, label, where))
    return clips


def read_kinetics(path: Path, classes: Sequence[str] | None) -> list[Clip]:
    """Kinetics' csv; the clip's name is ``YOUTUBEID_SSSSSS_EEEEEE`` with its times in seconds.

    Args:
        classes: In the order of their labels. None: labels are not read.
    """
    labels = {name: i for i, name in enumerate(classes or ())}
    clips = []
    for where, row in _rows(path):
        name = row['youtube_id'].strip()
        _check_clip(where, name, '[A-Za-z0-9_-]{1,64}', 'a YouTube id')
        times = []
        for column in ('time_start', 'time_end'):
            text = row[column].strip()
            if not re.fullmatch(r'[0-9]{1,6}(\.[0-9]*)?', text):
                raise AnnotationError(f'{where}: {column} must be seconds, got {row[column]!r}')
            times.append(int(float(text)))
        label = None
        if classes is not None:
            label = _label(where, row.get('label', '').strip(), labels)
        clips.append(Clip(f'{name}_{times[0]:06}_{times[1]:06}', label, where))
    return clips


def read_kinetics_classes(path: Path) -> list[str]:
    """The class names in a csv of Kinetics in alphabetical order, which is that of the labels."""
    names = set()
    for where, row in _rows(path):
        if 'label' not in row:
            raise AnnotationError(f'{path}:1: the header has no column label')
        _check_name(where, row['label'].strip())
        names.add(row['label'].strip())
    return sorted(names)


def read_diving48_classes(path: Path) -> list[str]:
    """``Diving48_vocab.json``: ``[["Back", "15som", "05Twis", "FREE"], …]``, joined by ``+``."""
    names = []
    for where, parts in _walk(path, '[]'):
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise AnnotationError(f'{where}: expected a list of words, got {_short(parts)}')
        names.append('+'.join(parts))
        _check_name(where, names[-1])
    return names


def read_diving48(path: Path, classes: Sequence[str]) -> list[Clip]:
    """JSON of Diving48: ``[{"vid_name": "xyz_00001", "label": 7, …}, …]``."""
    clips = []
    for where, record in _walk(path, '[]'):
        name = _field(where, record, 'vid_name', (str,))
        _check_clip(where, name, '[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}', 'the name of a clip')
        label = _field(where, record, 'label', (int,))
        if not 0 <= label < len(classes):
            raise AnnotationError(f'{where}: label must be 0 to {len(classes) - 1}, got {label}')
        clips.append(Clip(name, label, where))
    return clips


def _text(path: Path) -> str:
    return read_text(path, AnnotationError)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(path).split('\n'), start=1):
        if line.strip():
            yield f'{path}:{number}', line.strip()


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    reader = csv.reader(io.StringIO(_text(path), newline=''), strict=True)
    header: list[str] = []
    try:
        for row in reader:
            where = f'{path}:{reader.line_num}'
            if not header:
                header = [name.strip() for name in row]
                for name in ('youtube_id', 'time_start', 'time_end'):
                    if name not in header:
                        raise AnnotationError(f'{where}: the header has no column {name}')
            elif row:
                if len(row) != len(header):
                    raise AnnotationError(
                        f'{where}: expected {len(header)} values, as the header, got {len(row)}'
                    )
                yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise AnnotationError(f'{path}:{max(reader.line_num, 1)}: {error}') from None
    if not header:
        raise AnnotationError(f'{path}:1: the file is empty')


def _walk(path: Path, brackets: str) -> Iterator[tuple]:
    """(``file:line``, element) of a JSON array, (``file:line``, key, value) of an object."""
    text = _text(path)
    decoder = json.JSONDecoder()
    line, counted = 1, 0

    def where(at: int) -> str:
        nonlocal line, counted
        line, counted = line + text.count('\n', counted, at), at
        return f'{path}:{line}'

    def value(at: int) -> tuple[Any, int]:
        try:
            found, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise AnnotationError(f'{path}:{error.lineno}: not JSON: {error.msg}') from None
        except (ValueError, RecursionError) as error:
            raise AnnotationError(f'{where(at)}: not JSON: {error}') from None
        return found, skip(end)

    def skip(at: int) -> int:
        return _SPACE.match(text, at).end()

    def expect(character: str, at: int) -> int:
        if text[at : at + 1] != character:
            found = repr(text[at]) if at < len(text) else 'the end of the file'
            raise AnnotationError(f'{where(at)}: not JSON: expected {character!r}, got {found}')
        return skip(at + 1)

    at = expect(brackets[0], skip(0))
    while text[at : at + 1] != brackets[1]:
        place = where(at)
        if brackets == '{}':
            key, at = value(at)
            if not isinstance(key, str):
                raise AnnotationError(f'{place}: not JSON: expected a name, got {_short(key)}')
            element, at = value(expect(':', at))
            yield place, key, element
        else:
            element, at = value(at)
            yield place, element
        if text[at : at + 1] != brackets[1]:
            at = expect(',', at)
            if text[at : at + 1] == brackets[1]:
                raise AnnotationError(f'{where(at)}: not JSON: a comma before {brackets[1]!r}')
    if (at := skip(at + 1)) < len(text):
        raise AnnotationError(f'{where(at)}: not JSON: more after the last {brackets[1]!r}')


def _field(where: str, record: Any, name: str, types: tuple[type, ...]) -> Any:
    if not isinstance(record, dict) or name not in record:
        raise AnnotationError(f'{where}: expected an object with {name!r}, got {_short(record)}')
    if not isinstance(record[name], types) or isinstance(record[name], bool):
        kinds = ' or '.join(kind.__name__ for kind in types)
        raise AnnotationError(f'{where}: {name} must be {kinds}, got {_short(record[name])}')
    return record[name]


def _label(where: str, name: str, labels: dict[str, int]) -> int:
    if name not in labels:
        raise AnnotationError(f'{where}: {_short(name)} is not one of the {len(labels)} classes')
    return labels[name]


def _check_name(where: str, name: str) -> None:
    if not name or not name.isprintable():
        raise AnnotationError(f'{where}: expected the name of a class, got {name!r}')


def _check_clip(where: str, name: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, name):
        raise AnnotationError(f'{where}: the clip must be {expected}, got {_short(name)}')


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
