import numpy as np

from mmaction_emim.visualization.timeline import TimelineRecord, draw_timeline


def test_a_long_record_is_averaged_and_stays_small():
    record = TimelineRecord(columns=4)
    for i in range(100):
        record.add(i, i + 1, np.array([i, 0.0]))
        assert len(record.read()[1]) <= 8
    edges, rows = record.read()
    assert edges.tolist() == [0, 16, 32, 48, 64, 80, 96]
    np.testing.assert_allclose(rows[:, 0], edges[:-1] + 7.5)


def test_a_short_record_is_as_it_was():
    record = TimelineRecord()
    for i in range(3):
        record.add(i, i + 2, np.array([0.1 * i, 1 - 0.1 * i]))
    edges, rows = record.read()
    assert edges.tolist() == [0, 2, 3, 4]
    np.testing.assert_allclose(rows[:, 0], [0, 0.1, 0.2], atol=1e-6)


def test_shows_the_classes_that_lead():
    said = np.full((50, 30), 0.001)
    said[:25, 7], said[25:, 3] = 0.9, 0.9
    picture = draw_timeline(np.arange(51.0), said, [f'class {i}' for i in range(30)], most=2)
    same = draw_timeline(np.arange(51.0), said[:, [7, 3]], ['class 7', 'class 3'], most=2)
    assert picture.shape[1:] == (1000, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture, same)
