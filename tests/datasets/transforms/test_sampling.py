"""UniformSample (upstream's) and SampleSpan against the formulas."""

import numpy as np
import pytest
from mmaction.datasets.transforms import UniformSample

from mmaction_emim.datasets.transforms import SampleSpan

RNG = np.random.default_rng(0)
PAIRS = np.stack([RNG.integers(1, 400, 10_000), RNG.integers(1, 65, 10_000)], axis=1).tolist()


def sample(transform, frames, start_index=0):
    results = transform(dict(total_frames=frames, start_index=start_index))
    assert results['frame_inds'].dtype == np.int32
    assert len(results['frame_inds']) == results['num_clips'] * results['clip_len']
    return results['frame_inds'].tolist()


def test_segments_in_tests_equal_the_formula():
    for number, (frames, T) in enumerate(PAIRS):
        clips = number % 3 + 1
        segment = (frames - 1) / T
        wanted = [
            round(segment * i) + int(segment / (clips + 1) * (clip + 1))
            for clip in range(clips)
            for i in range(T)
        ]
        assert sample(UniformSample(T, clips, test_mode=True), frames) == wanted
        assert 0 <= min(wanted) and max(wanted) < frames


def test_segments_in_training_are_inside_and_reach_both_ends():
    for frames, T in PAIRS:
        segment = (frames - 1) / T
        inds = sample(UniformSample(T), frames)
        assert all(
            round(segment * i) <= index <= round(segment * (i + 1)) for i, index in enumerate(inds)
        )
    draws = np.array([sample(UniformSample(4), 41, start_index=1) for _ in range(1000)]) - 1
    assert draws.min(axis=0).tolist() == [0, 10, 20, 30]
    assert draws.max(axis=0).tolist() == [10, 20, 30, 40]


def span_of(T, interval, start, frames):
    last = T * interval - 1
    return [min(int(start + (i * last / (T - 1) if T > 1 else 0)), frames - 1) for i in range(T)]


def test_spans_in_tests_equal_the_formula():
    for number, (frames, T) in enumerate(PAIRS):
        clips, interval = number % 4 + 1, number % 5 + 1
        room = max(frames - T * interval, 0)
        starts = [room * clip / (clips - 1) for clip in range(clips)] if clips > 1 else [room / 2]
        wanted = [index for start in starts for index in span_of(T, interval, start, frames)]
        got = sample(SampleSpan(T, interval, clips, test_mode=True), frames)
        # A position that is whole but for rounding may fall either way.
        assert np.abs(np.subtract(got, wanted)).max() <= 1
        assert np.mean(np.not_equal(got, wanted)) < 0.2


def test_spans_in_training_equal_the_formula():
    for number, (frames, T) in enumerate(PAIRS):
        interval = number % 5 + 1
        np.random.seed(number)
        got = sample(SampleSpan(T, interval), frames)
        np.random.seed(number)
        start = np.random.uniform(0, max(frames - T * interval, 0), 1)[0]
        assert np.abs(np.subtract(got, span_of(T, interval, start, frames))).max() <= 1
        assert 0 <= min(got) and max(got) < frames
    starts = [sample(SampleSpan(16, 4), 100)[0] for _ in range(1000)]
    assert (min(starts), max(starts)) == (0, 35)


def test_a_span_by_hand():
    assert sample(SampleSpan(4, 4), 16) == [0, 5, 10, 15]
    assert sample(SampleSpan(4, 4, 2, test_mode=True), 20, 1) == [1, 6, 11, 16, 5, 10, 15, 20]
    assert sample(SampleSpan(4, 4, test_mode=True), 3) == [0, 2, 2, 2]
    assert sample(SampleSpan(4, 4), 1) == [0] * 4


@pytest.mark.parametrize('name', ['clip_len', 'frame_interval', 'num_clips'])
@pytest.mark.parametrize('value', [0, 1.5])
def test_refuses(name, value):
    with pytest.raises(ValueError, match=f'{name} must be an integer of 1 or more, got {value}'):
        SampleSpan(**{'clip_len': 4, name: value})
