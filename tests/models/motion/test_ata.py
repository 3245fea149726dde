import sys

import pytest
import torch
import torch.nn.functional as F

from mmaction_emim.models.motion import AlignmentGuidedTemporalAttention
from mmaction_emim.models.motion.ata import align, assign, dealign, tracks

SOLVERS = ['greedy', 'exact']


def permuted_clip(B=2, T=5, N=20, C=16, noise=0.0):
    """A clip whose frames are permutations of the first one, and the tracks that undo them."""
    first = torch.randn(B, N, C)
    path = torch.stack(
        [torch.arange(N).expand(B, N)]
        + [torch.stack([torch.randperm(N) for _ in range(B)]) for _ in range(T - 1)],
        dim=1,
    )
    clip = dealign(first.unsqueeze(1).expand(B, T, N, C), path)
    return clip + noise * torch.randn_like(clip), path


@pytest.mark.parametrize('assignment', SOLVERS)
@pytest.mark.parametrize('noise', [0.0, 0.05])
def test_recovers_true_permutations(assignment, noise):
    torch.manual_seed(0)
    clip, path = permuted_clip(noise=noise)
    assert torch.equal(tracks(clip, assignment), path)
    if not noise:
        aligned = align(clip, path)
        assert torch.equal(aligned, aligned[:, :1].expand_as(aligned))


@pytest.mark.parametrize('assignment', [*SOLVERS, 'none'])
@pytest.mark.parametrize('textured', [True, False])
def test_static_clips_stay(assignment, textured):
    frame = torch.randn(2, 1, 12, 8) if textured else torch.ones(2, 1, 12, 8)
    path = tracks(frame.expand(2, 4, 12, 8), assignment)
    assert torch.equal(path, torch.arange(12).expand(2, 4, 12))


@pytest.mark.parametrize('assignment', SOLVERS)
def test_round_trip(assignment):
    x = torch.randn(2, 4, 15, 6)
    path = tracks(x, assignment)
    assert torch.equal(path.sort(-1).values, torch.arange(15).expand_as(path))
    assert torch.equal(dealign(align(x, path), path), x)


def test_greedy_takes_the_most_similar_pair_first():
    torch.manual_seed(0)
    similarity = torch.rand(3, 4, 9, 9)
    got = assign(similarity, 'greedy')
    for matrix, columns in zip(similarity.flatten(0, 1), got.flatten(0, 1), strict=True):
        left, want = matrix.clone(), {}
        for _ in range(9):
            row, column = divmod(int(left.argmax()), 9)
            want[row] = column
            left[row], left[:, column] = -1, -1
        assert columns.tolist() == [want[row] for row in range(9)]


def test_exact_has_the_largest_total():
    torch.manual_seed(0)
    similarity = torch.rand(20, 8, 8)
    totals = [
        similarity.gather(-1, assign(similarity, solver).unsqueeze(-1)).sum((1, 2))
        for solver in SOLVERS
    ]
    assert (totals[1] >= totals[0] - 1e-4).all() and (totals[1] > totals[0] + 1e-3).any()


def test_exact_without_scipy_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy.optimize', None)
    module = AlignmentGuidedTemporalAttention(8, num_heads=2, assignment='exact')
    with pytest.raises(ImportError, match="^assignment='exact' needs scipy, .* pip install scipy"):
        module(torch.randn(1, 2, 2, 2, 8))


def test_without_alignment_it_is_attention_over_time():
    torch.manual_seed(0)
    module = AlignmentGuidedTemporalAttention(8, num_heads=2, assignment='none').double()
    plain = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    plain.in_proj_weight.data, plain.in_proj_bias.data = module.qkv.weight, module.qkv.bias
    plain.out_proj = module.proj
    x = torch.randn(2, 4, 3, 5, 8, dtype=torch.float64)
    sequences = x.permute(0, 2, 3, 1, 4).reshape(-1, 4, 8)
    want = plain(sequences, sequences, sequences)[0].view(2, 3, 5, 4, 8).permute(0, 3, 1, 2, 4)
    torch.testing.assert_close(module(x), want)


def test_a_moving_token_attends_to_itself():
    """Permuting a frame's tokens permutes its output: alignment makes ATA see through motion."""
    torch.manual_seed(0)
    clip, path = permuted_clip(B=1, T=3, N=12, C=16)
    module = AlignmentGuidedTemporalAttention(16, num_heads=2)
    out = align(module(clip.view(1, 3, 3, 4, 16)).flatten(2, 3), path)
    still = module(align(clip, path).view(1, 3, 3, 4, 16)).flatten(2, 3)
    torch.testing.assert_close(out, still)
    assert not torch.allclose(out, align(clip, path))


@pytest.mark.parametrize('assignment', SOLVERS)
def test_gradients_and_no_parameter_for_the_alignment(assignment):
    module = AlignmentGuidedTemporalAttention(8, num_heads=2, assignment=assignment)
    assert {name.split('.')[0] for name, _ in module.named_parameters()} == {'qkv', 'proj'}
    x = torch.randn(1, 3, 2, 3, 8, requires_grad=True)
    F.mse_loss(module(x), x.detach()).backward()
    assert all(p.grad.abs().sum() > 0 for p in module.parameters())
    assert x.grad.isfinite().all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"assignment: got 'auction'; accepted are \('greedy'"):
        AlignmentGuidedTemporalAttention(8, assignment='auction')
    with pytest.raises(ValueError, match='num_heads must divide dim=10, got 8'):
        AlignmentGuidedTemporalAttention(10)


def test_tracks_of_a_module_follow_a_moving_token():
    module = AlignmentGuidedTemporalAttention(16, 2)
    torch.manual_seed(0)
    frame = torch.randn(4, 6, 16)
    x = torch.stack([frame.roll(t, dims=1) for t in range(3)])[None]  # one to the right a frame
    places = torch.arange(24).view(4, 6)
    want = torch.stack([places.roll(-t, dims=1).flatten() for t in range(3)])
    assert torch.equal(module.tracks(x)[0], want)
