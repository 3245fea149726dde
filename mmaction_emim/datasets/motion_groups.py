"""Groups and opposites of Something-Something's classes, derived from the words of their names.

So no list of names is kept here: whatever label map a user has, in any order, is grouped.
"""

import re
from collections.abc import Sequence

GROUPS = {
    'left/right': r'\bleft\b|\bright\b(?! out)',
    'up/down': r'(?<!upside )\b(up|down|upwards|downwards)\b',
    'towards/away': r'\b(towards|away|closer|Approaching)\b',
    'in/out': r'\binto (?!two)|\bout of\b',
    'camera': r'^Turning the camera|\byour camera\b',
    'pretend': r'^Pretending\b',
}
OPPOSITES = (
    ('left', 'right'),
    ('up', 'down'),
    ('upwards', 'downwards'),
    ('towards', 'away from'),
    ('closer to', 'away from'),
    ('Approaching', 'Moving away from'),
    ('into', 'out of'),
    ('onto', 'off of'),
    ('Opening', 'Closing'),
    ('Folding', 'Unfolding'),
)
_PRETENDING = r'Pretending (?:or .*failing )?to (\w+) (.*)'


def motion_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Labels of the classes of each group; ``'real'`` holds what ``'pretend'`` only pretends.

    Args:
        names: Class names, by label; groups without a class are left out.
    """
    groups = {
        group: [label for label, name in enumerate(names) if re.search(pattern, name)]
        for group, pattern in GROUPS.items()
    }
    groups['real'] = sorted({real for _, real in _pretended(names)})
    return {group: labels for group, labels in groups.items() if labels}


def opposites(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of labels of classes that a mirror, time's direction or pretence tells apart."""
    pairs = {pair for first, second in OPPOSITES for pair in _swapped(names, first, second)} | {
        (min(pair), max(pair)) for pair in _pretended(names)
    }
    return sorted(pairs)


def flip_label_map(names: Sequence[str]) -> dict[int, int]:
    """For ``Flip(flip_label_map=…)``: what a class becomes in a mirror, where it changes."""
    pairs = _swapped(names, 'left', 'right')
    return dict(sorted([*pairs, *((second, first) for first, second in pairs)]))


def _swapped(names: Sequence[str], first: str, second: str) -> list[tuple[int, int]]:
    labels = {name: label for label, name in enumerate(names)}
    other = {first: second, second: first}
    pattern = rf'\b({re.escape(first)}|{re.escape(second)})\b'
    pairs = []
    for name, label in labels.items():
        mirrored = labels.get(re.sub(pattern, lambda match: other[match[1]], name), label)
        if label < mirrored:
            pairs.append((label, mirrored))
    return pairs


def _pretended(names: Sequence[str]) -> list[tuple[int, int]]:
    """(pretending class, real class): ``to put something on …`` and ``Putting something on …``."""
    labels = {name: label for label, name in enumerate(names)}
    pairs = []
    for name, label in labels.items():
        if not (match := re.fullmatch(_PRETENDING, name)):
            continue
        verb, rest = match.groups()
        words = rest.split(' ')
        for stem in (verb, verb + verb[-1], verb.removesuffix('e')):
            # "to close something without actually closing it": as few words as name a class
            for count in range(len(words), 0, -1):
                real = f'{stem.capitalize()}ing {" ".join(words[:count]).rstrip(",")}'
                if real in labels:
                    pairs.append((label, labels[real]))
                    break
    return pairs
