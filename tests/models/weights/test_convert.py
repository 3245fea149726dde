import sys
from pathlib import Path

import pytest
import torch

from mmaction_emim.models.weights.convert import main

SIZES = dict(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])


@pytest.fixture
def convert(monkeypatch, capsys, tmp_path):
    """Saves a checkpoint and converts it; returns (what was printed, what was written)."""

    def convert(tool, checkpoint, *options):
        src, dst = tmp_path / 'src.pyth', tmp_path / 'dst.pth'
        torch.save(checkpoint, src)
        monkeypatch.setattr(sys, 'argv', ['convert', str(src), str(dst), *options])
        main('test', emim=tool == 'emim')
        return capsys.readouterr().out, torch.load(dst, weights_only=True)

    return convert


@pytest.mark.parametrize('tool', ['emim', 'uniformer'])
def test_round_trip_is_bit_exact(convert, authors_weights, tool, tmp_path):
    theirs = authors_weights(**SIZES, emim=tool == 'emim')
    names = tmp_path / 'labels.txt'
    names.write_text(''.join(f'{(7 * i) % 174:03d}\n' for i in range(174)))
    options = ('--label-map', str(names))
    printed, ours = convert(tool, {'model_state': theirs, 'epoch': 9}, *options)
    assert f'used    {len(theirs)}' in printed and 'dropped 0' in printed
    # their row i is the i-th name sorted, '000', '001', ...; ours is line i
    head = ours['state_dict']['cls_head.fc_cls.weight']
    assert torch.equal(head[2], theirs['head.weight'][14])
    _, back = convert(tool, ours, '--reverse', *options)
    assert list(back['model_state']) == list(theirs)
    assert all(torch.equal(x, theirs[name]) for name, x in back['model_state'].items())


def test_images_and_another_number_of_classes(convert, authors_weights):
    theirs = authors_weights(**SIZES, emim=False, image=True, classes=1000)
    theirs['aux_head.weight'] = torch.zeros(1000, 64)
    printed, ours = convert('uniformer', theirs, '--num-classes', '174')
    weight = ours['state_dict']['backbone.blocks1.0.attn.weight']
    assert weight.shape == (8, 1, 5, 5, 5)
    assert torch.equal(weight[:, :, 4], theirs['blocks1.0.attn.weight'] / 5)
    assert 'cls_head.fc_cls.weight' not in ours['state_dict']
    lines = [line.split() for line in printed.splitlines()]
    new, dropped = lines.index(['new', '2']), lines.index(['dropped', '3'])
    assert lines[new + 1 : dropped] == [['cls_head.fc_cls.weight'], ['cls_head.fc_cls.bias']]
    assert ['backbone.aux_head.weight'] in lines[dropped:]


@pytest.mark.parametrize(
    'spoil, sentence',
    [
        (lambda w: w.pop('blocks3.0.attn.rpb'), '1 weights of EMIM-UniFormer missing'),
        (lambda w: w.pop('norm.running_var'), 'such as backbone.norm.running_var'),
        (lambda w: w.pop('patch_embed1.proj.weight'), "not the authors' names"),
    ],
    ids=['bias', 'statistics', 'foreign'],
)
def test_nothing_is_written_when_something_is_missing(
    convert, authors_weights, tmp_path, spoil, sentence
):
    theirs = authors_weights(**SIZES)
    spoil(theirs)
    with pytest.raises(ValueError, match=sentence):
        convert('emim', theirs)
    assert not (tmp_path / 'dst.pth').exists()


def test_a_pickle_that_is_not_data_is_refused(convert):
    with pytest.raises(Exception, match='weights_only'):
        convert('emim', {'model_state': {}, 'where': Path('.')})


def test_a_label_map_of_another_length(convert, authors_weights, tmp_path):
    (tmp_path / 'labels.txt').write_text('a\nb\n')
    with pytest.raises(ValueError, match='expected 174 names, as the head, got 2'):
        convert('emim', authors_weights(**SIZES), '--label-map', str(tmp_path / 'labels.txt'))


@pytest.mark.parametrize('tool', ['emim', 'uniformer'])
def test_tools_exit_with_1(run, tmp_path, tool):
    torch.save({'x': torch.zeros(1)}, tmp_path / 'x.pth')
    tool = f'tools/convert/convert_{tool}.py'
    done = run(tool, str(tmp_path / 'x.pth'), str(tmp_path / 'y.pth'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: checkpoint: no patch_embed1')
