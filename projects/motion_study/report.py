"""What came out of the study: tables with mean and spread."""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import Any

from scipy import stats

from projects.motion_study.arms import ARMS, NETWORKS
from projects.motion_study.data import CONTROLS, FORWARD, NAMES, SHIFTS, chance_of

BEGIN, END = '<!-- results: begin -->', '<!-- results: end -->'
NEAR = 0.05  # "near": within this of the other arm
Result = dict[str, Any]  # of a run, as runs.py writes it
Panel = tuple[str, str, int, float]  # data, network, steps, learning rate or 0: the network's
Key = tuple[str, str, int, float, str]  # the same, arm
Groups = dict[Key, list[Result]]


def group(results: Iterable[Result]) -> Groups:
    """Runs by data set, network, steps, learning rate and arm, in the order of the tables."""
    arms = [(arm.network, arm.name) for arm in ARMS]
    groups: Groups = {}
    for result in results:
        panel = result['data'], result['network'], result['steps'], result.get('lr') or 0.0
        groups.setdefault((*panel, result['arm']), []).append(result)

    def place(key: Key) -> tuple[float, ...]:
        data, network, steps, lr, arm = key
        return NAMES.index(data), NETWORKS.index(network), steps, lr, arms.index((network, arm))

    order = sorted(groups, key=place)
    return {key: sorted(groups[key], key=lambda r: r['seed']) for key in order}


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds; of a single run its value alone."""
    if len(values) < 2:
        return f'{values[0]:.3f}'
    return f'{mean(values):.3f} ± {stdev(values):.3f}'


def accuracy(runs: Sequence[Result], test: str = FORWARD.name, kind: str = 'top1') -> list[float]:
    return [run['tests'][test][kind] for run in runs if test in run['tests']]


def verdict(
    relation: str, own: Sequence[float], other: Sequence[float], chance: float, clips: int
) -> str:
    """Whether what was expected came out: ``'yes'``, ``'no'`` or ``'open'``.

    From a 95 % interval of the difference of means over seeds (Welch), or of the mean and chance:
    open where the interval allows either, or where there are fewer than two runs.

    Args:
        relation: See :class:`Arm`.
        own: Accuracies of the arm's runs.
        other: Accuracies of the arm it is compared with.
        chance: Accuracy of a guess.
        clips: Tested in each run; chance itself spreads by their number.
    """
    if relation == 'chance':
        margin = 2 * (chance * (1 - chance) / (clips * max(len(own), 1))) ** 0.5
        return 'yes' if abs(mean(own) - chance) <= margin else 'no'
    if min(len(own), len(other)) < 2:
        return 'open'
    difference = mean(own) - mean(other)
    low, high = _interval(own, other)
    if relation == 'near':
        if -NEAR <= low and high <= NEAR:
            return 'yes'
        return 'no' if low > NEAR or high < -NEAR else 'open'
    sign = 1 if relation == 'above' else -1
    if low <= 0 <= high:
        return 'open'
    return 'yes' if sign * difference > 0 else 'no'


def _interval(own: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    parts = [stdev(values) ** 2 / len(values) for values in (own, other)]
    difference, error = mean(own) - mean(other), sum(parts) ** 0.5
    if error == 0:
        return difference, difference
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (own, other), strict=True)
    )
    half = stats.t.ppf(0.975, freedom) * error
    return difference - half, difference + half


def markdown(results: Iterable[Result], protocol: str) -> str:
    """All tables.

    Args:
        results: Results of all finished runs.
        protocol: What was run, in a sentence or more.
    """
    groups = group(results)
    parts = [protocol, *(_accuracies(groups, panel) for panel in _panels(groups))]
    rows = [key for key in groups if len(groups[key][0]['tests']) > 1]
    parts.append(_controls(groups, rows))
    parts.append(_shifts(groups, [key for key in rows if _has(groups[key], SHIFTS[0].name)]))
    parts.append(_flow(groups))
    return '\n'.join(part for part in parts if part)


def _has(runs: Sequence[Result], test: str) -> bool:
    return bool(accuracy(runs, test))


def _panels(groups: Groups) -> list[Panel]:
    """Each has a table."""
    return list(dict.fromkeys(key[:4] for key in groups))


def _training(steps: int, lr: float) -> str:
    return f'{steps} steps' + (f', learning rate {lr:g}' if lr else '')


def _accuracies(groups: Groups, panel: Panel) -> str:
    rows = [_accuracy_row(groups, key) for key in groups if key[:4] == panel]
    titles = ('arm', 'top-1', 'lowest', 'highest', 'seeds', 'left chance at step', 'parameters')
    table = _table((*titles, 'clips', 'expected', 'as expected'), rows)
    data, network, *training = panel
    return f'\n## {data}, {network}, {_training(*training)}\n\n{table}'


def _accuracy_row(groups: Groups, key: Key) -> tuple:
    *panel, name = key
    arm = next(arm for arm in ARMS if (arm.network, arm.name) == (panel[1], name))
    runs = groups[key]
    values = accuracy(runs)
    other = accuracy(groups.get((*panel, arm.other), []))
    first = runs[0]
    forward = first['tests'][FORWARD.name]
    clips, shapes = forward['clips'], 'mirrored' in forward
    # Real clips give much away in a single frame: there nothing was expected of it.
    expected = f'{arm.relation} {arm.other}'.strip()
    came = verdict(arm.relation, values, other, chance_of(panel[0]), clips)
    if arm.relation == 'chance' and not shapes:
        expected, came = '-', '-'
    seeds = ', '.join(str(run['seed']) for run in runs)
    off = first['parameters'] / first['reference'] - 1
    parameters = f'{first["parameters"]:,} ({off:+.1%})'
    lowest, highest = f'{min(values):.3f}', f'{max(values):.3f}'
    left = ', '.join(str(run['left_chance'] or 'never') for run in runs)
    row = (name, spread(values), lowest, highest, seeds, left, parameters, clips)
    return (*row, f'{expected}: {arm.why}', came)


def _label(key: Key) -> str:
    data, network, *training, arm = key
    return f'{data} {network} {arm}, {_training(*training)}'


def _controls(groups: Groups, keys: Sequence[Key]) -> str:
    def row(key: Key) -> tuple:
        runs = groups[key]
        return (
            _label(key),
            spread(accuracy(runs)),
            spread(accuracy(runs, 'reversed')),
            spread(accuracy(runs, 'reversed', 'mirrored')),
            spread(accuracy(runs, 'shuffled')),
            spread(accuracy(runs, 'static')),
            spread(accuracy(runs, 'static', 'still')),
        )

    titles = (
        'network', 'forward', 'reversed', 'reversed, mirrored labels', 'shuffled', 'static',
        'static, called still',
    )  # fmt: skip
    expected = ''.join(f'- {test.name}: {test.expected}\n' for test in CONTROLS)
    return _section('Controls', f'Expected:\n\n{expected}', titles, map(row, keys))


def _shifts(groups: Groups, keys: Sequence[Key]) -> str:
    titles = ('tested at', 'expected', *map(_label, keys))
    rows = [
        (test.name, test.expected, *(spread(accuracy(groups[key], test.name)) for key in keys))
        for test in (FORWARD, *SHIFTS)
        if all(_has(groups[key], test.name) for key in keys)
    ]
    intro = (
        'Trained on 8 frames, every third of a clip, 64 x 64 pixels; tested on other clips, '
        'sampled otherwise. Tokens a step are those that translations take.\n'
    )
    return _section('Generalisation', intro, titles, rows if keys else ())


def _flow(groups: Groups) -> str:
    rows = []
    for key, runs in groups.items():
        runs = [run for run in runs if 'flow' in run]
        for layer in runs[0]['flow']['after'] if runs else ():
            for when in ('before', 'after'):
                readings = [run['flow'][when][layer] for run in runs]
                columns = ('error', 'zero_error', 'best_error', 'correlation')
                values = [spread([one[column] for one in readings]) for column in columns]
                rows.append((_label(key), layer, when, *values, readings[0]['tokens']))
    titles = (
        'network', 'layer', 'training', 'end-point error', 'of no motion', 'of the rounded truth',
        'correlation', 'tokens',
    )  # fmt: skip
    intro = (
        'The offset of the largest affinity against the true displacement, in tokens, on tokens '
        'that show a translating object.\n'
    )
    return _section('What the affinity sees', intro, titles, rows)


def _section(title: str, intro: str, titles: Sequence[str], rows: Iterable[Sequence]) -> str:
    rows = list(rows)
    return f'\n## {title}\n\n{intro}\n{_table(titles, rows)}' if rows else ''


def _table(titles: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    return ''.join('| ' + ' | '.join(map(str, line)) + ' |\n' for line in lines)


def between_markers(document: str, text: str) -> str:
    """``document`` with ``text`` between its markers, headings one level deeper.

    Raises:
        ValueError: It has none.
    """
    if BEGIN not in document or END not in document:
        raise ValueError(f'README.md: expected the markers {BEGIN} and {END}')
    before, rest = document.split(BEGIN, 1)
    text = text.replace('\n## ', '\n### ')
    return f'{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}'
