"""Writes a dataset's lists, label map and report, and says whether the set is whole."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mmaction_emim.datasets.annotations import Clip
from mmaction_emim.utils.files import write_text

from .verify import Check, Verdict, check_frames, check_video, verify

VIDEOS = frozenset({'.mp4', '.webm', '.mkv', '.avi', '.mov'})
INCOMPLETE = 3  # exit status: lists are written, and the report holds clips that are not


class Split(NamedTuple):
    """A list to write.

    Attributes:
        name: ``'train'``, ``'val'`` or ``'test'``.
        clips: Of the official list.
        list_name: Of the file to write.
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


def parser(description: str, out: str) -> argparse.ArgumentParser:
    """The arguments that all ``prepare.py`` share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('download', type=Path, help='folder with the official files, at any depth')
    parser.add_argument('out', type=Path, nargs='?', default=Path(out), help='data_root')
    parser.add_argument('--splits', nargs='+', default=['train', 'val', 'test'], metavar='SPLIT')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    parser.add_argument('--subset', action='store_true', help='do not compare published counts')
    parser.add_argument('--fallback', choices=['pyav'], help='what reads clips decord cannot')
    return parser


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
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix in VIDEOS:
                path = os.path.relpath(os.path.join(folder, name), root)
                if files.setdefault(stem, path) != path:
                    repeated.setdefault(stem, []).append(path)
    return files, repeated


def write_videos(
    args: argparse.Namespace, splits: Sequence[Split], classes: Sequence[str], suffix: str = '.mp4'
) -> int:
    """:func:`write` for videos, wherever below their split's ``root`` they are.

    Args:
        suffix: Of the official files; lists name lost clips so.
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
    check = partial(check_video, fallback=args.fallback)
    return write(args, splits, classes, paths, check, lambda clip, path, verdict: path, extra)


def write_frames(args: argparse.Namespace, splits: Sequence[Split], classes: Sequence[str]) -> int:
    """:func:`write` for folders of frames."""
    paths = {(split.name, clip.name): clip.name for split in splits for clip in split.clips}
    return write(
        args, splits, classes, paths, check_frames, lambda clip, path, v: f'{path} {v.frames}', []
    )


def write(
    args: argparse.Namespace,
    splits: Sequence[Split],
    classes: Sequence[str],
    paths: Mapping[tuple[str, str], str],
    check: Check,
    columns: Callable[[Clip, str, Verdict], str],
    extra: Sequence[tuple[str, str, str, str]],
) -> int:
    """Verify every clip; write the lists, ``label_map.txt`` and ``report.tsv`` to ``args.out``.

    A clip whose class is unknown gets label 0 in its list.

    Args:
        paths: Of the clips in their ``root``, by (split, name).
        check: Gives the verdict on a path.
        columns: A line of a list without its label.
        extra: Further lines of the report: (split, clip, problem, detail).

    Returns:
        0 where every clip of the official lists is there and good, else ``INCOMPLETE``, 3.
    """
    roots = {split.name: split.root for split in splits}
    keyed = {f'{s}/{path}': roots[s] / path for (s, _), path in paths.items()}
    verdicts = verify(keyed, check, args.out / '.verified.jsonl', args.workers)
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
            elif verdict.digest in first_content:
                other = first_content[verdict.digest]
                report.append((split.name, clip.name, 'same content', f'as {other}'))
            else:
                first_content[verdict.digest] = f'{split.name} {clip.name}'
            if not verdict.problem or split.keep_bad:
                lines.append(f'{columns(clip, path, verdict)} {clip.label or 0}\n')
        first_split |= seen
        write_text(args.out / split.list_name, ''.join(lines))
        table.append((split, len(lines), problems))
    write_text(args.out / 'label_map.txt', ''.join(f'{name}\n' for name in classes))
    header = 'split\tclip\tproblem\tdetail\n'
    write_text(args.out / 'report.tsv', header + ''.join('\t'.join(row) + '\n' for row in report))
    return _summary(args, table, len(report))


def _summary(args: argparse.Namespace, table: Sequence[tuple], reported: int) -> int:
    whole = True
    for split, lines, problems in table:
        official = len(split.clips)
        words = [f'{split.name:5} {official:>8,} official, {lines:>8,} in {split.list_name}']
        words += [f'{count:,} {problem}' for problem, count in sorted(problems.items())]
        if split.published not in (None, official) and not args.subset:
            words.append(f'published are {split.published:,}: the official file is another one')
            whole = False
        whole &= not problems
        print('; '.join(words))
    if reported:
        print(f'{args.out / "report.tsv"}: {reported:,} lines, every clip that is not as it should')
    print(f'{args.out}: {"whole" if whole else "NOT whole"}')
    return 0 if whole else INCOMPLETE
