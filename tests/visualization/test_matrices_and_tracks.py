import numpy as np
import pytest
import torch

from mmaction_emim.visualization import attention_figure, cost_volume_figure, draw_tracks


@pytest.fixture
def frames():
    return np.full((4, 32, 48, 3), 100, np.uint8)


def test_cost_volume_lies_where_its_keys_are(frames):
    affinity = torch.zeros(3, 2, 4, 6, 9)
    affinity[1, 0, 2, 5] = torch.arange(9.0)
    figure = cost_volume_figure(frames, affinity, 3, token=(2, 5), pair=1)
    left, right, bar = figure.axes
    assert left.get_title().startswith('frame 2 of 4') and '3 x 3' in right.get_title()
    drawn = right.images[1]
    assert drawn.get_extent() == [4 * 8, 7 * 8, 4 * 8, 1 * 8]  # x from, to, y to, from
    values = np.ma.filled(drawn.get_array(), np.nan)
    np.testing.assert_array_equal(values, [[0, 0.5, np.nan], [1.5, 2, np.nan], [3, 3.5, np.nan]])
    assert 'mean of heads' in bar.get_ylabel()
    one = cost_volume_figure(frames, affinity, 3, (2, 5), 1, head=0).axes[1].images[1]
    assert one.get_array()[0, 1] == 1


@pytest.mark.parametrize(
    'options, sentence',
    [
        (dict(token=(4, 0)), 'token row must be from 0 to 3, got 4'),
        (dict(token=(0, -1)), 'token column must be from 0 to 5, got -1'),
        (dict(token=(0, 0), pair=3), 'pair must be from 0 to 2, got 3'),
        (dict(token=(0, 0), head=2), 'head must be from 0 to 1, got 2'),
    ],
    ids=str,
)
def test_refuses_what_is_not_there(frames, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        cost_volume_figure(frames, torch.zeros(3, 2, 4, 6, 9), 3, **options)


def test_attention_has_its_frames_on_both_axes():
    figure = attention_figure(torch.eye(5), 'title')
    axes, bar = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list('12345')
    assert (np.asarray(axes.images[0].get_array()) == np.eye(5)).all()
    assert 'sum to 1' in bar.get_ylabel()


def test_a_track_is_drawn_where_its_token_is(frames):
    tracks = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(4), indexing='xy'), -1)
    tracks = torch.stack([(tracks + torch.tensor([t, 0])) % 6 for t in range(4)])
    pictures = draw_tracks(frames, tracks, every=4, side=64)  # one of them, of row 2, column 2
    assert pictures.shape == (4, 64, 96, 3)
    changed = [(picture != 100).any(-1) for picture in pictures]
    for t, drawn in enumerate(changed):
        assert drawn[40, (2 + t) * 16 + 8] and not drawn[:28].any() and not drawn[52:].any()
    assert changed[3][40, 40:94].all() and not changed[0][40, 56:].any()
