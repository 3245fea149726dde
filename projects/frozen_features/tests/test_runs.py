import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.transforms import FrameOrder
from projects.frozen_features import data, linear, runs
from projects.frozen_features.runs import ORDERS, Run

init_default_scope('mmaction')
RUN = Run('mobilenetv2', 'fight', 'attentive', 1e-2, 0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Maps of clips whose class is the sign of what a channel's last frames have."""
    root, rng = tmp_path_factory.mktemp('maps'), np.random.default_rng(0)
    for part, count in (('train', 50), ('val', 20)):
        lines = [f'{part}/{i}.mp4 {i % 2}' for i in range(count)]
        (root / f'{part}.txt').write_text('\n'.join(lines) + '\n')
        (root / part / part).mkdir(parents=True)
        about = dict(shape=[1, 1, 8, 96, 4, 4], dtype='float16')
        (root / part / 'maps.json').write_text(json.dumps(about))
        for i, line in enumerate(lines):
            maps = rng.normal(5, 2, (8, 96, 4, 4)).astype(np.float16)
            maps[4:, :8] += 6 * (i % 2) - 3
            maps[:4, :8] -= 6 * (i % 2) - 3
            np.save(root / part / f'{line.split()[0]}.npy', maps[None, None])
    fit, held_out = data.split((root / 'train.txt').read_text().splitlines())
    (root / 'fit.txt').write_text('\n'.join(fit) + '\n')
    (root / 'held_out.txt').write_text('\n'.join(held_out) + '\n')
    return root


@pytest.fixture(scope='module')
def cached(folder):
    return runs.read(folder)


def test_a_fifth_of_each_class_is_held_out():
    lines = [f'{i}.mp4 {i % 3}' for i in range(31)]
    fit, held_out = data.split(lines)
    assert sorted(fit + held_out) == sorted(lines)
    labels = [int(line[-1]) for line in held_out]
    assert sorted(labels) == [0, 0, 1, 1, 2, 2]


def test_maps_are_standardized_by_the_fitted_clips(cached):
    values = cached.fit.maps.float()
    assert values.shape == (40, 96, 8, 4, 4)
    assert values.mean((0, 2, 3, 4)).abs().max() < 0.01
    assert (values.std((0, 2, 3, 4)) - 1).abs().max() < 0.01
    assert cached.held_out.names[0] == 'train/8.mp4' and len(cached.tests['forward'].names) == 20


def test_orders_are_those_of_frame_order(cached):
    forward = cached.tests['forward']
    torch.testing.assert_close(cached.tests['reversed'].maps, forward.maps.flip(2))
    clip = dict(frame_inds=np.arange(8), clip_len=8, filename=forward.names[3])
    order = FrameOrder('shuffled').transform(clip)['frame_inds']
    torch.testing.assert_close(cached.tests['shuffled'].maps[3], forward.maps[3][:, order])


def test_a_run_learns_the_order_and_says_the_same_again(cached):
    result = runs.execute(RUN, cached)
    right = {order: result['right'][order].count('1') for order in ORDERS}
    assert right['forward'] >= 18 and right['reversed'] <= 2
    assert result['held_out'][0] >= 0.9 and result['steps'] == 20 and result['lr'] == 1e-2
    again = runs.execute(RUN, cached)
    assert {**again, 'seconds': 0, 'cpu_seconds': 0} == {**result, 'seconds': 0, 'cpu_seconds': 0}
    other = runs.execute(RUN._replace(seed=1), cached)
    assert other['held_out'] != result['held_out']


def test_the_rate_is_that_of_the_best_held_out_clips():
    tried = [dict(lr=rate, held_out=held_out) for rate, held_out in
             ((1, [0.5, 0.1]), (2, [0.7, 0.9]), (3, [0.7, 0.8]))]  # fmt: skip
    assert runs.chosen_rate(tried) == 3


def test_linear_tells_order_from_single_frames(cached):
    right = {view: linear.result(view, cached, 2)['right'] for view in linear.VIEWS}
    assert right['frames in order']['forward'].count('1') >= 18
    assert right['frames in order']['reversed'].count('1') <= 2
    assert right['centre frame']['forward'].count('1') >= 18
    assert 4 <= right['mean of frames']['forward'].count('1') <= 16
