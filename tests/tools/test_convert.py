from pathlib import Path

import pytest
import torch

SIZES = dict(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])
TOOL = 'tools/convert/convert_{}.py'


@pytest.fixture
def files(tmp_path):
    return tmp_path / 'src.pyth', tmp_path / 'dst.pth'


@pytest.mark.parametrize('name', ['emim', 'uniformer'])
def test_there_and_back(call, files, authors_weights, name):
    src, dst = files
    theirs = authors_weights(**SIZES, emim=name == 'emim')
    theirs['aux_head.weight'] = torch.zeros(1000, 64)
    torch.save({'model_state': theirs}, src)
    done = call(TOOL.format(name), str(src), str(dst), '--num-classes', '174')
    assert done.returncode == 0, done.stderr
    lines = [f'used    {len(theirs) - 1}', 'new     0', 'dropped 1']
    lines += ['        backbone.aux_head.weight', 'missing 0', f'{src} -> {dst}']
    assert done.stdout.splitlines() == lines
    assert call(TOOL.format(name), str(dst), str(src), '--reverse').returncode == 0
    del theirs['aux_head.weight']
    back = torch.load(src, weights_only=True)['model_state']
    assert list(back) == list(theirs)
    assert all(torch.equal(x, theirs[key]) for key, x in back.items())


def test_nothing_is_written_when_something_is_missing(call, files, authors_weights):
    src, dst = files
    torch.save(authors_weights(**SIZES, emim=False), src)
    done = call(TOOL.format('emim'), str(src), str(dst))
    assert done.returncode == 1 and not dst.exists()
    sentence = 'error: {}: 10 weights of EMIM-UniFormer missing or of another shape, such as {}; {}'
    name = 'backbone.blocks3.0.attn.rpb'
    assert done.stderr.splitlines()[-1] == sentence.format(src, name, 'nothing was written')
    assert f'missing 10\n        {name}\n' in done.stdout


def test_a_pickle_that_is_not_data_is_refused(call, files):
    torch.save({'model_state': {}, 'where': Path('.')}, files[0])
    done = call(TOOL.format('emim'), *map(str, files))
    assert done.returncode == 1
    sentence = f'error: {files[0]}: not a checkpoint of weights: '
    assert done.stderr.splitlines()[-1].startswith(sentence)
    assert 'Path' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize('name', ['emim', 'uniformer'])
def test_exits_with_1(run, tmp_path, name):
    torch.save({'x': torch.zeros(1)}, tmp_path / 'x.pth')
    done = run(TOOL.format(name), str(tmp_path / 'x.pth'), str(tmp_path / 'y.pth'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'error: {tmp_path / "x.pth"}: no patch_embed1')
