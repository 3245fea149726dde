"""Which clips are taken, in which list; what was found of every clip, in a table."""

import filecmp
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mmaction_emim.utils.files import write_text

from .clips import SPLITS, OwnClip
from .describe import Description
from .split import groups_in, take_aside

REPORT, LABEL_MAP = 'report.tsv', 'label_map.txt'
SEPARATOR = '|'  # between the classes of a clip with several, in the report
HEADER = 'list clip class group frames seconds fps width height codec remark problem'.split()
MOST_NAMED = 5  # clips of a kind that the summary names; the report has all


@dataclass
class Sorted:
    """Clips, sorted into splits.

    Attributes:
        clips: All that were found, with their splits.
        found: Descriptions, by path.
        left_out: Why a clip is in no list, by path.
    """

    clips: list[OwnClip]
    found: dict[str, Description]
    left_out: dict[str, str] = field(default_factory=dict)

    def of(self, split: str) -> list[OwnClip]:
        """The clips of a split's list."""
        return [c for c in self.clips if c.split == split and c.path not in self.left_out]

    @property
    def classes(self) -> list[str]:
        """Class names of all lists in the order of their labels, that of numbers where all are."""
        taken = [clip for clip in self.clips if clip.path not in self.left_out]
        names = {label for clip in taken for label in clip.labels}
        numbers = all(name.isascii() and name.isdecimal() for name in names)
        return sorted(names, key=(lambda name: (int(name), name)) if numbers else str)


def sort_clips(
    root: Path,
    clips: Sequence[OwnClip],
    found: dict[str, Description],
    shares: Mapping[str, float],
    seed: int,
) -> Sorted:
    """Leave out what cannot be used, and put every other clip into a split.

    Of clips with the same content one stays, that of ``test`` before ``val`` before ``train``; none
    where they are in different classes. Where a group is in ``test`` or ``val``, its clips of an
    earlier split are left out. A split that no clip says is taken from ``train``.

    Args:
        root: Folder of the clips.
        clips: As they were found, with distinct paths.
        found: Descriptions, by path.
        shares: How much of the clips to take, by ``'val'`` and ``'test'``.
        seed: The draw's.

    Raises:
        ValueError: Nothing is left to train on, or it is of one class.
    """
    result = Sorted(list(clips), found)
    left_out = result.left_out
    given = any(clip.split for clip in clips)
    for clip in clips:
        if problem := found[clip.path].problem:
            left_out[clip.path] = problem
        elif not clip.path.isprintable() or clip.path != clip.path.strip():
            left_out[clip.path] = 'its name cannot stand in a list'
        elif not all(label and label.isprintable() for label in clip.labels):
            left_out[clip.path] = "its class's name cannot stand in a list"
        elif given and not clip.split:
            left_out[clip.path] = 'in no split'
    if not given:
        result.clips = [clip._replace(split='train') for clip in clips]
    rank = {split: i for i, split in enumerate(reversed(SPLITS))}
    _leave_out_copies(root, result, rank)
    for split in ('test', 'val'):
        train = result.of('train')
        if shares[split] and not any(clip.split == split for clip in result.clips):
            taken = take_aside(train, shares[split], seed)
            result.clips = [
                clip._replace(split=split) if clip.path in taken else clip for clip in result.clips
            ]
    for i, split in enumerate(SPLITS[:-1]):
        later = groups_in((c for s in SPLITS[i + 1 :] for c in result.of(s)), SPLITS)
        for clip in result.of(split):
            if clip.group in later:
                left_out[clip.path] = f'its group is in a held-out list, too: {clip.group}'
    if len({label for clip in result.of('train') for label in clip.labels}) < 2:
        raise ValueError(
            f'{root}: clips of 2 classes or more are needed to train on; of {len(clips)} that were '
            f'found {len(result.of("train"))} are left: {_causes(left_out)}'
        )
    return result


def _leave_out_copies(root: Path, result: Sorted, rank: Mapping[str, int]) -> None:
    same = defaultdict(list)
    for clip in result.clips:
        if clip.path not in result.left_out:
            same[result.found[clip.path].digest].append(clip)
    for clips in same.values():
        clips.sort(key=lambda clip: rank[clip.split])
        while len(clips) > 1:
            first, *rest = clips
            # A digest is of the beginning and the size.
            copies = [c for c in rest if filecmp.cmp(root / first.path, root / c.path, False)]
            clips = [clip for clip in rest if clip not in copies]
            for clip in copies:
                result.left_out[clip.path] = f'the same content as {first.path}'
            labels = {SEPARATOR.join(sorted(clip.labels)) for clip in [first, *copies]}
            if len(labels) > 1:
                for clip in [first, *copies]:
                    result.left_out[clip.path] = (
                        f'the same content in several classes: {", ".join(sorted(labels))}'
                    )


def _causes(left_out: Mapping[str, str]) -> str:
    """The most frequent reasons, the first with one of its clips."""
    causes = {path: reason.partition(':')[0] for path, reason in left_out.items()}
    counts = Counter(causes.values()).most_common(4)
    if not counts:
        return 'none bad'
    example = next(path for path, cause in causes.items() if cause == counts[0][0])
    return ', '.join(f'{count} {cause}' for cause, count in counts) + f'; such as {example!r}'


def check_out(out: Path) -> None:
    """Refuse a folder that has lists which this did not write: they would be lost.

    Args:
        out: Folder to write to.

    Raises:
        ValueError: Names the first file that is in the way.
    """
    report = out / REPORT
    if report.is_file():
        with open(report, 'rb') as file:
            if file.readline().startswith('\t'.join(HEADER[:3]).encode()):
                return
    for name in (*(f'{split}.txt' for split in SPLITS), LABEL_MAP, REPORT):
        if (out / name).exists():
            raise ValueError(
                f'{out / name} is there, which this would write anew; give another folder to '
                'write to, behind the source'
            )


def write_lists(out: Path, result: Sorted) -> None:
    """Write ``train.txt``, ``val.txt``, ``test.txt`` where it holds a clip, ``label_map.txt`` and
    ``report.tsv``.

    Args:
        out: Folder to write to.
        result: What :func:`sort_clips` gave.
    """
    classes = result.classes
    rows = [HEADER, *map(list, _rows(result))]
    text = ''.join('\t'.join(' '.join(cell.split()) for cell in row) + '\n' for row in rows)
    # First, since check_out knows by it whose the lists are.
    write_text(out / REPORT, text.encode('utf-8', 'replace').decode())
    for split in SPLITS:
        clips = result.of(split)
        if clips:
            lines = [[clip.path, *map(classes.index, clip.labels)] for clip in clips]
            write_text(out / f'{split}.txt', ''.join(' '.join(map(str, x)) + '\n' for x in lines))
        else:
            (out / f'{split}.txt').unlink(missing_ok=True)
    write_text(out / LABEL_MAP, ''.join(f'{name}\n' for name in classes))


def _rows(result: Sorted) -> Iterator[tuple[str, ...]]:
    for clip in result.clips:
        d, why = result.found[clip.path], result.left_out.get(clip.path, '')
        numbers = (d.frames, f'{d.seconds:.2f}', f'{d.fps:g}', d.width, d.height)
        known = map(str, numbers if d.frames else [''] * 5)
        labels = SEPARATOR.join(clip.labels)
        named = '' if why else clip.split, clip.path, labels, clip.group or ''
        yield *named, *known, d.codec, d.remark, why


def summary(result: Sorted, others: Sequence[str]) -> Iterator[str]:
    """What a person has to know, a sentence or a short table at a time.

    Args:
        result: What :func:`sort_clips` gave.
        others: Files that are no clips.
    """
    suffixes = Counter(PurePosixPath(clip.path).suffix for clip in result.clips)
    kinds = ', '.join(f'{suffix} {count}' for suffix, count in suffixes.most_common())
    yield f'{len(result.clips)} clips found: {kinds}'
    if others:
        yield f'not a clip of a class, {len(others)}: {_some(others)}'
    reasons = defaultdict(list)
    for path, why in result.left_out.items():
        kind, _, detail = why.partition(':')
        reasons[kind].append(f'{path} ({detail.strip()})' if detail else path)
    for kind, paths in _merged(reasons).items():
        yield f'{len(paths)} left out, {kind}: {_some(paths)}'
    if odd := [path for path, found in result.found.items() if found.remark]:
        yield f'{len(odd)} with odd time stamps, which the report describes: {_some(odd)}'
    lists = {split: clips for split in SPLITS if (clips := result.of(split))}
    yield 'in lists: ' + ', '.join(f'{split} {len(clips)}' for split, clips in lists.items())
    taken = [clip for clips in lists.values() for clip in clips]
    ungrouped = [clip.path for clip in taken if clip.group is None]
    if 0 < len(ungrouped) < len(taken):
        yield (
            f'{len(ungrouped)} clips are of no group, since --group-pattern does not match them or '
            'their cell is empty, and may be on another side than their like: '
            f'{_some(ungrouped)}'
        )
    if any(clip.group is not None for clip in taken):
        groups = {s: {c.group for c in clips} - {None} for s, clips in lists.items()}
        yield 'groups: ' + ', '.join(f'{split} {len(names)}' for split, names in groups.items())
    splits = {s: Counter(x for clip in clips for x in clip.labels) for s, clips in lists.items()}
    names = result.classes
    for kind, given in (('classes', names), ('groups', {c.group for c in taken if c.group})):
        for alike in _alike(given):
            yield f'{kind} that differ in letter case or spaces alone count as several: {alike}'
    yield from _class_table(names, splits)
    for split, counts in splits.items():
        if missing := [name for name in names if name not in counts]:
            yield f'{split}: no clip of {len(missing)} classes: {_some(missing)}'
    if lost := sorted({x for clip in result.clips for x in clip.labels} - set(names)):
        yield f'no clip left of {len(lost)} classes, which are none now: {_some(lost)}'


def _merged(reasons: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Copies are told apart by the clip that stays: one sentence for all."""
    merged: dict[str, list[str]] = defaultdict(list)
    for kind, paths in reasons.items():
        before, marker, which = kind.partition('the same content as ')
        if marker:
            merged['the same content as another'] += [f'{path} = {which}' for path in paths]
        else:
            merged[kind] += paths
    return merged


def _alike(names: Iterable[str]) -> Iterator[str]:
    """Those of the names that are one when case, spaces, ``_`` and ``-`` are not told apart."""
    same = defaultdict(list)
    for name in sorted(names):
        same[re.sub(r'[\s_-]+', ' ', name.casefold()).strip()].append(name)
    return (', '.join(several) for several in same.values() if len(several) > 1)


def _class_table(names: Sequence[str], splits: Mapping[str, Counter]) -> Iterator[str]:
    if len(names) <= 20:
        width = max(map(len, names))
        yield ' ' * width + ''.join(f'{split:>7}' for split in splits)
        for name in names:
            yield f'{name:<{width}}' + ''.join(f'{c[name]:7}' for c in splits.values())
        return
    (fewest, least), *_, (_, most) = sorted(splits['train'].items(), key=lambda item: item[1])
    yield f'{len(names)} classes of {least} ({fewest}) to {most} clips to train on'


def _some(names: Sequence[str]) -> str:
    more = f' and {len(names) - MOST_NAMED} more' if len(names) > MOST_NAMED else ''
    named = (name if name.isprintable() else repr(name) for name in names[:MOST_NAMED])
    return ', '.join(named) + more
