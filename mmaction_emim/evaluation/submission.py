"""Files for the test servers: every test clip's five best classes, by name.

Something-Something: ``id;name;name;name;name;name``, no header. Kinetics: csv with the header
``youtube_id,time_start,time_end,label_1,…,label_5``, the test list's columns and ours.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from mmaction_emim.datasets.annotations import read_kinetics, read_sthv1, read_sthv2
from mmaction_emim.utils.files import read_text

TOP = 5
HEADER = ['youtube_id', 'time_start', 'time_end', *(f'label_{i}' for i in range(1, TOP + 1))]
SERVERS = ('something', 'kinetics')


class SubmissionError(ValueError):
    """A submission is not as the server wants it; the message says what is wrong."""


def read_test_list(path: Path, server: str) -> list[str]:
    """The names of the clips of a test list.

    Args:
        path: The official file (``.json`` of Something-Something V2, ``.csv`` of V1 or Kinetics),
            or the list that the preparation tools write (``.txt``).
        server: ``'something'`` or ``'kinetics'``.

    Raises:
        ValueError: A line is wrong; the message gives file and line.
    """
    if path.suffix == '.txt':
        lines = read_text(path).splitlines()
        # A path may hold spaces; a folder of frames is followed by their number and the label.
        return [clip_name(re.sub('( [0-9]+){1,2}$', '', line)) for line in lines if line.strip()]
    if server == 'kinetics':
        return [clip.name for clip in read_kinetics(path, None)]
    read = read_sthv2 if path.suffix == '.json' else read_sthv1
    return [clip.name for clip in read(path, None)]


def clip_name(path: str) -> str:
    """Name of a video file or a folder of frames: its path's last part, without suffix."""
    return Path(path).stem


def submission(results: Sequence[dict], names: Sequence[str], server: str) -> str:
    """The file's text.

    Args:
        results: From :func:`.load_dump`, with ``video_id``; in their order.
        names: Class names, by label.
        server: ``'something'`` or ``'kinetics'``.

    Raises:
        SubmissionError: A result does not say which clip it is of, its clip could not be read, or
            its scores are not of these classes.
    """
    rows = []
    for number, result in enumerate(results):
        scores = result['pred_score']
        if 'video_id' not in result:
            raise SubmissionError(
                f'result {number} has no video_id: test with CheckedVideoDataset or '
                "CheckedRawframeDataset, and PackActionInputs with 'video_id' in its meta_keys"
            )
        clip = clip_name(result['video_id'])
        if result.get('failed'):
            raise SubmissionError(
                f'clip {clip} could not be read in the test: its scores are not its own; '
                'failed_clips_test.txt in the working folder lists all such clips'
            )
        if scores.numel() != len(names) or scores.isnan().any():
            raise SubmissionError(
                f'clip {clip}: expected {len(names)} scores, one for every class of the label map, '
                f'got {scores.numel()}{" with NaN" if scores.isnan().any() else ""}'
            )
        best = scores.topk(min(TOP, len(names))).indices.tolist()
        rows.append([clip, *(names[label] for label in best)])
    if server == 'something':
        return ''.join(';'.join(row) + '\n' for row in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(HEADER)
    writer.writerows([*_kinetics_columns(row[0]), *row[1:]] for row in rows)
    return text.getvalue()


def check_submission(path: Path, clips: Collection[str], names: Sequence[str], server: str) -> None:
    """Compare a file with the test list.

    Args:
        path: The submission.
        clips: Names of the clips of the test list.
        names: Class names.
        server: ``'something'`` or ``'kinetics'``.

    Raises:
        SubmissionError: A line is not as it should be (the message gives file and line), or a clip
            of the list has none, or two.
    """
    found: dict[str, str] = {}
    for where, clip, labels in _read(path, server):
        if clip in found:
            raise SubmissionError(f'{where}: clip {clip} has a line already, {found[clip]}')
        if clip not in clips:
            raise SubmissionError(f'{where}: clip {clip!r} is not in the test list')
        if len(set(labels)) != TOP or len(labels) != TOP:
            raise SubmissionError(f'{where}: expected {TOP} different classes, got {labels}')
        if unknown := set(labels) - set(names):
            raise SubmissionError(f'{where}: {min(unknown)!r} is not in the label map')
        found[clip] = where
    if missing := set(clips) - found.keys():
        raise SubmissionError(
            f'{path}: {len(missing)} of {len(clips)} clips have no line, such as {min(missing)}'
        )


def _read(path: Path, server: str) -> list[tuple[str, str, list[str]]]:
    text = read_text(path, SubmissionError)
    if server == 'something':
        rows = _rows(path, text, delimiter=';', quoting=csv.QUOTE_NONE)
        return [(f'{path}:{n}', row[0], row[1:]) for n, row in enumerate(rows, start=1) if row]
    rows = _rows(path, text)
    if not rows or rows[0] != HEADER:
        raise SubmissionError(f'{path}:1: expected the header {",".join(HEADER)}')
    found = []
    for number, row in enumerate(rows[1:], start=2):
        where = f'{path}:{number}'
        if len(row) != len(HEADER) or not all(x.isdecimal() for x in row[1:3]):
            raise SubmissionError(f'{where}: expected {",".join(HEADER)}, got {",".join(row)}')
        found.append((where, f'{row[0]}_{int(row[1]):06}_{int(row[2]):06}', row[3:]))
    return found


def _rows(path: Path, text: str, **dialect: Any) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text), **dialect)
    try:
        return list(reader)
    except csv.Error as error:
        raise SubmissionError(f'{path}:{max(reader.line_num, 1)}: {error}') from error


def _kinetics_columns(clip: str) -> list[str | int]:
    match = re.fullmatch(r'(.+)_([0-9]{6})_([0-9]{6})', clip)
    if not match:
        raise SubmissionError(f'clip {clip}: expected YOUTUBEID_SSSSSS_EEEEEE')
    return [match[1], int(match[2]), int(match[3])]
