import pytest
import torch

from mmaction_emim.models.weights.authors import CheckpointError
from mmaction_emim.models.weights.convert import convert_checkpoint

SIZES = dict(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])


@pytest.mark.parametrize('emim', [True, False], ids=['emim', 'uniformer'])
def test_round_trip_is_bit_exact(authors_weights, emim, tmp_path):
    theirs = authors_weights(**SIZES, emim=emim)
    names = tmp_path / 'labels.txt'
    names.write_text(''.join(f'{(7 * i) % 174:03d}\n' for i in range(174)))
    options = dict(emim=emim, label_map=names)
    ours, report = convert_checkpoint({'model_state': theirs, 'epoch': 9}, **options)
    assert len(report.used) == len(theirs) and report[1:] == ([], [], [])
    # their row i is the i-th name sorted, '000', '001', ...; ours is line i
    head = ours['state_dict']['cls_head.fc_cls.weight']
    assert torch.equal(head[2], theirs['head.weight'][14])
    back, _ = convert_checkpoint(ours, **options, reverse=True)
    assert list(back['model_state']) == list(theirs)
    assert all(torch.equal(x, theirs[name]) for name, x in back['model_state'].items())


def test_images_and_another_number_of_classes(authors_weights):
    theirs = authors_weights(**SIZES, emim=False, image=True, classes=1000)
    theirs['aux_head.weight'] = torch.zeros(1000, 64)
    ours, report = convert_checkpoint(theirs, num_classes=174, emim=False)
    weight = ours['state_dict']['backbone.blocks1.0.attn.weight']
    assert weight.shape == (8, 1, 5, 5, 5)
    assert torch.equal(weight[:, :, 4], theirs['blocks1.0.attn.weight'] / 5)
    assert 'cls_head.fc_cls.weight' not in ours['state_dict']
    assert report.new == ['cls_head.fc_cls.weight', 'cls_head.fc_cls.bias']
    assert len(report.dropped) == 3 and 'backbone.aux_head.weight' in report.dropped
    assert report.missing == []


@pytest.mark.parametrize('name', ['blocks3.0.attn.rpb', 'norm.running_var'])
def test_what_is_missing(authors_weights, name):
    theirs = authors_weights(**SIZES)
    del theirs[name]
    _, report = convert_checkpoint(theirs)
    assert report.missing == [f'backbone.{name}']


def test_foreign_names_are_refused(authors_weights):
    theirs = authors_weights(**SIZES)
    del theirs['patch_embed1.proj.weight']
    with pytest.raises(ValueError, match="not the authors' names"):
        convert_checkpoint(theirs)


@pytest.mark.parametrize('reverse', [False, True])
def test_a_label_map_of_another_length(authors_weights, tmp_path, reverse):
    (tmp_path / 'labels.txt').write_text('a\nb\n')
    weights = authors_weights(**SIZES)
    if reverse:
        weights, _ = convert_checkpoint(weights)
    with pytest.raises(ValueError, match='expected 174 names, as the head, got 2'):
        convert_checkpoint(weights, label_map=tmp_path / 'labels.txt', reverse=reverse)


@pytest.mark.parametrize(
    'changed, sentence',
    [
        ({'blocks3.x.norm1.weight': torch.ones(1)}, "of no network: invalid literal for int.*'x'"),
        ({'blocks3.999999999.norm1.weight': torch.ones(1)}, 'blocks3 are .*with a gap'),
        ({'patch_embed2.proj.weight': torch.tensor(1.0)}, 'its sizes are of no network'),
        (
            {'head.weight': torch.ones(1).expand(10**12)},
            r'head.weight \(1000000000000,\) has fewer',
        ),
        ({'blocks3.0.attn.rpb': torch.ones(1, 4, 4)}, 'window must be an odd integer'),
        ({'norm.weight': torch.ones(64).to_sparse()}, 'norm.weight is no plain tensor'),
        ({'norm.weight': torch.ones(64, device='meta')}, 'norm.weight is no plain tensor'),
    ],
)
def test_sizes_of_no_network(authors_weights, changed, sentence):
    with pytest.raises(CheckpointError, match=f'^checkpoint: .*{sentence}'):
        convert_checkpoint(authors_weights(**SIZES) | changed)
