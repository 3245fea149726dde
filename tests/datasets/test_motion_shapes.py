import numpy as np
import pytest

from mmaction_emim.datasets.motion_shapes import (
    CLASSES,
    DIFFICULTIES,
    MIRROR,
    render_clip,
    trajectory,
)


@pytest.mark.parametrize('difficulty', DIFFICULTIES)
def test_same_seed_same_pixels(difficulty):
    clip = render_clip(0, 7, num_frames=4, size=48, difficulty=difficulty)
    assert clip.shape == (4, 48, 48, 3) and clip.dtype == np.uint8
    assert np.array_equal(clip, render_clip(0, 7, num_frames=4, size=48, difficulty=difficulty))
    assert not np.array_equal(clip, render_clip(0, 8, num_frames=4, size=48, difficulty=difficulty))


def test_first_frame_does_not_depend_on_the_class():
    first = [render_clip(label, 3, num_frames=2, size=48)[0] for label in range(len(CLASSES))]
    assert all(np.array_equal(frame, first[0]) for frame in first)


@pytest.mark.parametrize(
    'name, axis, sign', [('left', 0, -1), ('right', 0, 1), ('up', 1, -1), ('down', 1, 1)]
)
def test_translations_move_as_named(name, axis, sign):
    path = np.unwrap(trajectory(CLASSES.index(name), 5).centre, axis=0, period=128)
    steps = np.diff(path, axis=0)
    assert (steps[:, axis] * sign > 3).all() and not steps[:, 1 - axis].any()


def test_other_motions_are_as_named():
    def state(name):
        return trajectory(CLASSES.index(name), 5)

    def mostly(x, sign):  # all but the frame where a coordinate wraps
        return (np.sign(np.diff(x)) == sign).sum() >= len(x) - 2

    assert mostly(state('approach').radius[:, 0], 1) and mostly(state('recede').radius[:, 0], -1)
    assert mostly(state('part').distance, 1) and mostly(state('meet').distance, -1)
    assert mostly(state('clockwise').angle, 1) and mostly(state('counterclockwise').angle, -1)
    assert not np.diff(state('still').positions(), axis=0).any()
    assert np.ptp(state('shake').centre[:, 0]) > 0


def test_mirror_is_an_involution():
    assert set(MIRROR) == set(CLASSES)
    assert all(MIRROR[MIRROR[name]] == name for name in CLASSES)


def ridge_accuracy(train, test):
    """Held-out accuracy of one-against-all ridge regression, the best of some penalties."""
    (x, y), (xt, yt) = train, test
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, xt = (x - mean) / std, (xt - mean) / std
    targets = np.eye(len(CLASSES))[y] - 1 / len(CLASSES)
    gram = x @ x.T
    scores = [xt @ x.T @ np.linalg.solve(gram + c * np.eye(len(x)), targets) for c in (1e2, 1e4)]
    return [(s.argmax(1) == yt).mean() for s in scores]


def probe(features, clips=40):
    def split(start, count):
        labels = np.repeat(np.arange(len(CLASSES)), count)
        seeds = start + np.arange(len(labels))
        rows = [
            features(render_clip(int(y), int(s), 9, 32)) for y, s in zip(labels, seeds, strict=True)
        ]
        return np.stack(rows).astype(np.float64), labels

    test = split(10**6, 25)
    return ridge_accuracy(split(0, clips), test), len(test[1])


@pytest.mark.parametrize('index', [0, 4, 8])
def test_one_frame_says_nothing(index):
    accuracies, count = probe(lambda clip: clip[index, ::2, ::2].ravel())
    chance = 1 / len(CLASSES)
    assert max(accuracies) < chance + 3.5 * np.sqrt(chance * (1 - chance) / count)


def test_motion_says_much():
    def correlations(clip):
        """Mean phase correlation of neighbouring frames: a motion feature."""
        grey = clip.mean(-1)
        f = np.fft.fft2(np.abs(np.diff(grey, axis=0)))
        cross = (np.conj(f[:-1]) * f[1:]).sum(0)
        return np.fft.fftshift(np.fft.ifft2(cross / (np.abs(cross) + 1)).real).ravel()

    accuracies, _ = probe(correlations)
    assert max(accuracies) > 0.25  # three times chance: the frames' order does carry the class


@pytest.mark.parametrize(
    'change',
    [dict(label=12), dict(num_frames=1), dict(size=8), dict(difficulty='hard'), dict(seed=-1)],
    ids=str,
)
def test_refuses_bad_arguments(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        render_clip(**{**dict(label=0, seed=0), **change})
