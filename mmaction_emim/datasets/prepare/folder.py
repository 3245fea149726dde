"""Writes a dataset's lists, label map and report, and says whether the set is whole."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmaction_emim.datasets.annotations import Clip
from mmaction_emim.utils.files import walk, write_text

from .verify import Check, Verdict, check_frames, check_video, verify

VIDEOS = frozenset({'.mp4', '.webm', '.mkv', '.avi', '.mov'})


class Split(NamedTuple):
    """A list to write.

    Attributes:
        name: ``'train'``, ``'val'`` or ``'test'``.
        clips: Clips of the official list.
        list_name: Name of the file to write.
        root: Folder of the clips, to which the list's paths are relative.
        published: How many clips the split has; None where clips disappear from the web.
        keep_bad: Whether bad clips stay in the list, to be counted as wrong.
    """

    name: str
    clips: Sequence[Clip]
    list_name: str
    root: Path
    published: int | None
    keep_bad: bool


def find(folder: Path, *names: str, required: bool = True) -> Path | None:
    """The file below ``folder`` that has one of the names.

    Raises:
        FileNotFoundError: There is none, and it is required.
        ValueError: There are several.
    """
    found = sorted(path for name in names for path in folder.rglob(name) if path.is_file())
    if len(found) > 1:
        raise ValueError(f'{found[0]}: the same file as {found[1]}; keep one of them')
    if not found and required:
        raise FileNotFoundError(f'{folder}: no {" or ".join(names)} in it')
    return found[0] if found else None


def index_files(root: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Videos below ``root`` by their names without suffix, and those that are there repeatedly.

    Returns:
        Paths relative to ``root``, and for repeated names the paths that were not taken.
    """
    files: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for folder, names in walk(root):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEOS:
                path = os.path.relpath(folder / name, root)
                if files.setdefault(stem, path) != path:
                    repeated.setdefault(stem, []).append(path)
    return files, repeated


def write_videos(
    out: Path,
    splits: Sequence[Split],
    classes: Sequence[str],
    workers: int,
    subset: bool = False,
    suffix: str = '.mp4',
) -> bool:
    """Verify every video; write the lists, ``label_map.txt`` and ``report.tsv``; print a summary.

    The videos may be anywhere below their split's ``root``. A clip whose class is unknown gets
    label 0 in its list.

    Args:
        out: Folder to write to.
        splits: Lists to write.
        classes: Names of the classes, by label.
        workers: Processes that decode.
        subset: Whether splits may have other sizes than published. Defaults to False.
        suffix: The official files' suffix; lists name lost clips so. Defaults to ``'.mp4'``.

    Returns:
        Whether every clip of the official lists is there and good.
    """
    paths, extra = {}, []
    for split in splits:
        files, repeated = index_files(split.root)
        wanted = {clip.name for clip in split.clips}
        for clip in split.clips:
            paths[split.name, clip.name] = files.get(clip.name, clip.name + suffix)
        extra += [
            (split.name, name, 'duplicate', f'also at {path}; {files[name]} is taken')
            for name in sorted(wanted & repeated.keys())
            for path in repeated[name]
        ]
    columns = '{0}'.format
    return _write(out, splits, classes, workers, subset, paths, check_video, columns, extra)


def write_frames(
    out: Path, splits: Sequence[Split], classes: Sequence[str], workers: int, subset: bool = False
) -> bool:
    """:func:`write_videos` for folders of frames, right below their split's ``root``."""
    paths = {(split.name, clip.name): clip.name for split in splits for clip in split.clips}
    columns = '{0} {1.frames}'.format
    return _write(out, splits, classes, workers, subset, paths, check_frames, columns, [])


def _write(
    out: Path,
    splits: Sequence[Split],
    classes: Sequence[str],
    workers: int,
    subset: bool,
    paths: Mapping[tuple[str, str], str],
    check: Check,
    columns: Callable[[str, Verdict], str],
    extra: Sequence[tuple[str, str, str, str]],
) -> bool:
    """What both share.

    Args:
        paths: The clips' paths in their ``root``, by (split, name).
        check: Gives the verdict on a path.
        columns: A line of a list without its label.
        extra: Further lines of the report: (split, clip, problem, detail).
    """
    roots = {split.name: split.root for split in splits}
    keyed = {f'{s}/{path}': roots[s] / path for (s, _), path in paths.items()}
    verdicts = verify(keyed, check, out / '.verified.jsonl', workers)
    report, first_split, first_content, table = list(extra), {}, {}, []
    for split in splits:
        lines, problems, seen = [], Counter(), {}
        for clip in split.clips:
            if (before := seen.get(clip.name) or first_split.get(clip.name)) is not None:
                report.append((split.name, clip.name, 'duplicate', f'{clip.where} and {before}'))
                problems['duplicate'] += 1
                continue
            seen[clip.name] = clip.where
            path = paths[split.name, clip.name]
            verdict = verdicts[f'{split.name}/{path}']
            if verdict.problem:
                problem, _, why = verdict.problem.partition(': ')
                report.append((split.name, clip.name, problem, why or str(split.root / path)))
                problems[problem] += 1
            else:
                name = f'{split.name} {clip.name}'
                if (other := first_content.setdefault(verdict.digest, name)) != name:
                    report.append((split.name, clip.name, 'same content', f'as {other}'))
                if verdict.remark:
                    report.append((split.name, clip.name, 'time stamps', verdict.remark))
            if not verdict.problem or split.keep_bad:
                lines.append(f'{columns(path, verdict)} {clip.label or 0}\n')
        first_split |= seen
        write_text(out / split.list_name, ''.join(lines))
        table.append((split, len(lines), problems))
    write_text(out / 'label_map.txt', ''.join(f'{name}\n' for name in classes))
    header = 'split\tclip\tproblem\tdetail\n'
    write_text(out / 'report.tsv', header + ''.join('\t'.join(row) + '\n' for row in report))
    return _summary(out, table, len(report), subset)


def _summary(out: Path, table: Sequence[tuple], reported: int, subset: bool) -> bool:
    whole = True
    for split, lines, problems in table:
        official = len(split.clips)
        words = [f'{split.name:5} {official:>8,} official, {lines:>8,} in {split.list_name}']
        words += [f'{count:,} {problem}' for problem, count in sorted(problems.items())]
        if split.published not in (None, official) and not subset:
            words.append(f'published are {split.published:,}: the official file is another one')
            whole = False
        whole &= not problems
        print('; '.join(words))
    if reported:
        print(f'{out / "report.tsv"}: {reported:,} lines, every clip that is not as it should')
    print(f'{out}: {"whole" if whole else "NOT whole"}')
    return whole
