"""Takes a share of the clips aside, class by class, with every group on one side."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence

from .clips import OwnClip


def take_aside(clips: Sequence[OwnClip], share: float, seed: int) -> set[str]:
    """Paths of about ``share`` of the clips of each class.

    Groups are drawn in a random order, and one is taken where it brings the counts closer to what
    is wanted, and leaves every class a clip. A clip without a group is a group of its own.

    Args:
        clips: With distinct paths.
        share: In [0, 1).
        seed: The same clips and seed give the same split, whatever the order of the clips.
    """
    counts = Counter(label for clip in clips for label in clip.labels)
    wanted = {
        label: max(1, round(share * count)) if count > 1 and share else 0
        for label, count in counts.items()
    }
    groups: dict[tuple[str, str], list[OwnClip]] = {}
    for clip in sorted(clips):
        key = ('clip', clip.path) if clip.group is None else ('group', clip.group)
        groups.setdefault(key, []).append(clip)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    taken, have = set(), Counter()
    for group in order:
        adds = Counter(label for clip in group for label in clip.labels)
        closer = sum(
            abs(wanted[x] - have[x]) - abs(wanted[x] - have[x] - n) for x, n in adds.items()
        )
        if closer > 0 and all(have[x] + n < counts[x] for x, n in adds.items()):
            taken |= {clip.path for clip in group}
            have += adds
    return taken


def groups_in(clips: Iterable[OwnClip], splits: Sequence[str]) -> set[str]:
    """The groups with a clip in one of the splits."""
    return {clip.group for clip in clips if clip.group is not None and clip.split in splits}
