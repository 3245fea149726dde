import pytest
from PIL import Image

from projects.frozen_features import report
from projects.frozen_features.data import DATA


def run(arm, seed, right, lr=0.01, held_out=0.5):
    return dict(
        kind='run', encoder='mobilenetv2', data='fight', arm=arm, seed=seed, lr=lr,
        held_out=[held_out, 1.0], parameters=100, cpu_seconds=2.0,
        right=dict(forward=right, reversed='1100', shuffled='1000'),
    )  # fmt: skip


RESULTS = [
    dict(kind='cache', encoder='mobilenetv2', data='fight', cache_cpu_seconds=9.0),
    dict(
        kind='linear',
        encoder='mobilenetv2',
        data='fight',
        view='centre frame',
        right=dict(forward='1110', reversed='1110', shuffled='1110'),
    ),  # fmt: skip
    run('attentive', 0, '1100'),
    run('attentive', 0, '1111', lr=0.1, held_out=0.4),
    run('attentive', 1, '1110'),
    run('emim', 0, '1111'),
    run('emim', 1, '1111'),
]


def test_a_difference_has_an_interval_of_seeds_and_clips():
    own, other = (report.final(RESULTS, 'mobilenetv2', 'fight', x) for x in ('emim', 'attentive'))
    middle, low, high = report.difference(own, other)
    # Clips differ by 0, 0, 0.5 and 1: variance 0.2292 / 4; seeds: 0.125 ** 2 * 2 / 2.
    assert middle == pytest.approx(0.375)
    error = (0.2292 / 4 + 0.03125 / 2) ** 0.5
    assert (low, high) == pytest.approx((0.375 - 2 * error, 0.375 + 2 * error), abs=1e-3)


def test_tables_and_picture(tmp_path):
    text = report.markdown(RESULTS)
    assert (
        '| attentive | 0.625 ± 0.177 | 0.500 ± 0.000 | 0.250 ± 0.000 |  | 0.01 | 2 | 100 | 2 |'
        in text
    )
    assert '| fight | mobilenetv2 | centre frame | 0.750 | 0.750 | 0.750 |' in text
    assert '| fight | mobilenetv2 | 9 | 2 |' in text
    report.draw(RESULTS, tmp_path / 'x.png')
    with Image.open(tmp_path / 'x.png') as image:
        assert image.size[0] > 400


def test_the_page_has_the_tables_of_the_results_that_are_kept():
    results = report.read(report.RESULTS)
    assert {r['data'] for r in results} == set(DATA)
    assert report.markdown(results).strip() in report.README.read_text()
