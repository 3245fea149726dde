import numpy as np
import pytest
import torch

from mmaction_emim.ops import cost_volume, motion_field


def by_the_formulas(affinity, window, head):
    """Displacement and confidence, token by token and head by head, in numpy."""
    heads, H, W, _ = affinity.shape
    r = window // 2
    chosen = range(heads) if head is None else [head]
    places = list(np.ndindex(H, W))

    def score(h, query, key):
        """exp of the affinity; 0 where the key is not in the query's window."""
        a, b = key[0] - query[0] + r, key[1] - query[1] + r
        near = 0 <= a < window and 0 <= b < window
        return np.exp(affinity[(h, *query, a * window + b)]) if near else 0.0

    displacement, confidence = np.zeros((H, W, 2)), np.zeros((H, W))
    for query in places:
        share, agreement = np.zeros(len(places)), np.zeros(len(places))
        for h in chosen:
            of_query = np.array([score(h, query, key) for key in places])
            of_keys = np.array([sum(score(h, other, key) for other in places) for key in places])
            share += of_query / of_query.sum() / len(chosen)
            agreement += of_query / of_query.sum() * of_query / of_keys / len(chosen)
        where = np.array([(x - query[1], y - query[0]) for y, x in places])
        displacement[query] = share @ where
        distance = np.linalg.norm(where - displacement[query], axis=1)
        confidence[query] = agreement[distance < 1.5].sum()
    return displacement, confidence


@pytest.mark.parametrize('head', [None, 1])
def test_equals_the_formulas(head):
    torch.manual_seed(0)
    affinity = 3 * torch.randn(2, 2, 4, 5, 9, dtype=torch.float64)
    displacement, confidence = motion_field(affinity, 3, head)
    for n in range(2):
        want = by_the_formulas(affinity[n].numpy(), 3, head)
        np.testing.assert_allclose(displacement[n], want[0], atol=1e-12)
        np.testing.assert_allclose(confidence[n], want[1], atol=1e-12)


@pytest.mark.parametrize('shift', [(0, 0), (1, 0), (-2, 1), (0, 3)], ids=str)
@pytest.mark.parametrize('out_of_frame', ['pad', 'mask'])
def test_a_translation_is_found_also_at_the_borders(shift, out_of_frame):
    """Tokens all unlike each other, moved by whole tokens; keys are the queries."""
    torch.manual_seed(0)
    dx, dy = shift
    frame = torch.nn.functional.normalize(torch.randn(1, 2, 9, 8, 32), dim=-1) * 6
    moved = frame.roll((dy, dx), (2, 3))
    affinity = cost_volume(frame, moved, torch.zeros(2, 7, 7), 7, out_of_frame=out_of_frame)
    displacement, confidence = motion_field(affinity, 7)
    inside = (slice(max(0, -dy), 9 - max(0, dy)), slice(max(0, -dx), 8 - max(0, dx)))
    want = torch.tensor([dx, dy]).float().expand(9, 8, 2)
    torch.testing.assert_close(displacement[0][inside], want[inside], atol=0.02, rtol=0)
    assert confidence[0][inside].min() > 0.99


def test_confidence_of_no_and_of_two_answers():
    affinity = torch.zeros(1, 9, 9, 49)
    displacement, confidence = motion_field(affinity, 7)
    assert displacement[4, 4].abs().max() < 1e-6
    assert confidence[4, 4].item() == pytest.approx(9 / 49 / 49)
    affinity[..., 21] = affinity[..., 27] = 50  # three to the left, three to the right
    displacement, confidence = motion_field(affinity, 7)
    assert displacement[4, 4].abs().max() < 1e-6 and confidence[4, 4] < 1e-6


def test_a_key_that_all_look_at_is_no_place_that_all_go_to():
    affinity = torch.zeros(1, 9, 9, 7, 7)
    for y, x in [(3, 3), (3, 5), (5, 4), (4, 4)]:
        affinity[0, y, x, 4 - y + 3, 4 - x + 3] = 50  # they look at the token in the middle
    displacement, confidence = motion_field(affinity.flatten(-2), 7)
    assert displacement[3, 5].tolist() == pytest.approx([-1, 1])
    assert confidence[3, 5].item() == pytest.approx(1 / 4)


def test_half_precision_gives_float32_and_gradients_flow():
    affinity = torch.randn(2, 3, 3, 9, dtype=torch.bfloat16, requires_grad=True)
    displacement, confidence = motion_field(affinity, 3)
    assert displacement.dtype == confidence.dtype == torch.float32
    (displacement.sum() + confidence.sum()).backward()
    assert affinity.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'shape, head, sentence',
    [
        ((2, 3, 3, 8), None, r'must be \(..., heads, H, W, 9\), got \(2, 3, 3, 8\)'),
        ((3, 3, 9), None, 'got'),
        ((2, 3, 3, 9), 2, 'head must be from 0 to 1, got 2'),
        ((2, 3, 3, 9), -1, 'got -1'),
    ],
)
def test_refuses(shape, head, sentence):
    with pytest.raises(ValueError, match=sentence):
        motion_field(torch.zeros(shape), 3, head)
