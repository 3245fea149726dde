import json

import pytest

from projects.motion_study import report
from projects.motion_study.picture import README
from projects.motion_study.report import verdict


def made(arm, seed, top1, data='clean', network='vit-tiny', steps=5, tests=None, **more):
    shapes = dict(mirrored=0.1, still=0.1) if data == 'clean' else {}
    forward = dict(top1=top1, clips=300, **shapes)
    return dict(
        data=data, network=network, arm=arm, seed=seed, parameters=990, reference=1000,
        steps=steps, left_chance=seed * 20 or None,
        tests={'forward': forward, **(tests or {})}, **more,
    )  # fmt: skip


def cells(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f'| {name} |')]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_accuracies_have_mean_spread_seeds_and_a_verdict():
    results = [made('emim', s, v) for s, v in ((1, 0.8), (0, 0.7), (2, 0.9))]
    results += [made('global', s, v) for s, v in ((0, 0.2), (1, 0.3), (2, 0.25))]
    results += [made('global', 0, 0.4, data='digits'), made('emim', 0, 0.95, steps=15)]
    text = report.markdown(json.loads(json.dumps(results)), 'The protocol.')
    assert text.startswith('The protocol.') and '## clean, vit-tiny, 5 steps' in text
    text, after = text.split('## digits, vit-tiny, 5 steps')
    before, longer = text.split('## clean, vit-tiny, 15 steps')
    row = cells(before, 'emim')
    assert row[1:6] == ['0.800 ± 0.100', '0.700', '0.900', '0, 1, 2', 'never, 20, 40']
    assert row[6:8] == ['990 (-1.0%)', '300'] and cells(longer, 'emim')[1] == '0.950'
    assert row[-1] == cells(before, 'global')[-1] == 'yes'
    assert cells(after, 'global')[1] == '0.400' and cells(after, 'global')[-1] == 'open'
    assert 'Controls' not in after and 'affinity sees' not in after


def test_another_learning_rate_has_a_table_of_its_own():
    text = report.markdown([made('emim', 0, 0.8, lr=None), made('emim', 0, 0.4, lr=1e-3)], '')
    first, other = text.split('## clean, vit-tiny, 5 steps, learning rate 0.001')
    assert cells(first, 'emim')[1] == '0.800' and cells(other, 'emim')[1] == '0.400'


def test_controls_generalisation_and_flow_have_their_tables():
    other = dict(top1=0.3, clips=300, mirrored=0.6, still=0.05)
    tests = {name: other for name in ('reversed', 'shuffled', 'static', 'speed x2')}
    reading = dict(error=0.5, zero_error=1.0, best_error=0.2, correlation=0.7, tokens=99)
    flow = {when: {'blocks.0, interval 3': reading} for when in ('before', 'after')}
    text = report.markdown([made('emim', 0, 0.8, tests=tests, flow=flow)], '')
    first, seen = text.split('## What the affinity sees')
    controls = cells(first, 'clean vit-tiny emim, 5 steps')
    assert controls[1:] == ['0.800', '0.300', '0.600', '0.300', '0.300', '0.050']
    assert '| before | 0.500 | 1.000 | 0.200 | 0.700 | 99 |' in seen


@pytest.mark.parametrize(
    ('relation', 'own', 'other', 'expected'),
    [
        ('below', [0.2, 0.25, 0.3], [0.8, 0.7, 0.75], 'yes'),
        ('above', [0.2, 0.25, 0.3], [0.8, 0.7, 0.75], 'no'),
        ('above', [0.8, 0.7, 0.75], [0.2, 0.25, 0.3], 'yes'),
        ('below', [0.5, 0.9, 0.7], [0.8, 0.7, 0.75], 'open'),
        ('near', [0.80, 0.81, 0.82], [0.80, 0.82, 0.81], 'yes'),
        ('near', [0.2, 0.21, 0.22], [0.80, 0.82, 0.81], 'no'),
        ('near', [0.5, 0.9, 0.7], [0.8, 0.7, 0.75], 'open'),
        ('below', [0.2], [0.8, 0.7], 'open'),
        ('chance', [0.08, 0.09], [], 'yes'),
        ('chance', [0.2, 0.19], [], 'no'),
    ],
)
def test_verdicts(relation, own, other, expected):
    assert verdict(relation, own, other, 1 / 12, 300) == expected


def test_tables_go_between_the_markers():
    document = f'before\n{report.BEGIN}\nold\n{report.END}\nafter\n'
    text = report.between_markers(document, 'new\n## part')
    assert text == f'before\n{report.BEGIN}\nnew\n### part\n{report.END}\nafter\n'
    with pytest.raises(ValueError, match='expected the markers'):
        report.between_markers('none', 'new')


def test_the_readme_has_the_markers():
    text = README.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1
