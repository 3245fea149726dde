import codecs
import pickle

import numpy as np
import pytest
import torch
from mmengine.fileio import dump

from mmaction_emim.evaluation.dump import has_several_labels, load_dump


class Evil:
    def __reduce__(self):
        return print, ('run',)


def test_reads_what_mmengine_writes(tmp_path):
    sample = dict(
        pred_score=torch.rand(5),
        gt_label=torch.tensor([2]),
        video_id='a.webm',
        fps=np.float64(12.5),
        shape=np.arange(3),
    )
    dump([sample], tmp_path / 'x.pkl')
    (loaded,) = load_dump(tmp_path / 'x.pkl')
    assert torch.equal(loaded['pred_score'], sample['pred_score'])
    assert loaded['video_id'] == 'a.webm' and loaded['fps'] == 12.5
    assert loaded['shape'].tolist() == [0, 1, 2]


def test_reads_clips_with_several_labels(tmp_path):
    one, several = torch.tensor([2]), torch.tensor([0.0, 1.0, 1.0])
    for label in (one, several):
        dump([dict(pred_score=torch.rand(3), gt_label=label)], tmp_path / 'x.pkl')
        results = load_dump(tmp_path / 'x.pkl')
        assert torch.equal(results[0]['gt_label'], label)
        assert has_several_labels(results) == (label is several)


@pytest.mark.parametrize(
    'content, sentence',
    [
        ([Evil()], 'it holds builtins.print, which is not data'),
        ([torch.nn.Linear(1, 1)], 'which is not data'),
        ([], 'expected a list of results'),
        ([dict(pred_score=torch.rand(5))], 'result 0 has no pred_score and gt_label'),
        ([dict(pred_score=torch.rand(2), gt_label=torch.rand(2))], 'must be a tensor of labels'),
        ([dict(pred_score=torch.rand(3), gt_label=torch.ones(2))], 'must be a tensor of labels'),
    ],
)
def test_refuses_what_is_no_dump(tmp_path, content, sentence, capsys):
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=sentence):
        load_dump(tmp_path / 'x.pkl')
    assert 'run' not in capsys.readouterr().out


def test_refuses_code_in_a_tensor(tmp_path, capsys):
    """torch.storage._load_from_bytes would run it."""

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(Evil()),)

    (tmp_path / 'x.pkl').write_bytes(pickle.dumps([Storage()]))
    with pytest.raises(ValueError, match='not a dump'):
        load_dump(tmp_path / 'x.pkl')
    assert 'run' not in capsys.readouterr().out
    (tmp_path / 'y.pkl').write_bytes(b'PK\x03\x04nothing')
    with pytest.raises(ValueError, match='y.pkl: not a dump'):
        load_dump(tmp_path / 'y.pkl')


def test_a_checkpoint_is_refused_in_one_line(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=r'^[^\n]*x.pth: not a dump of tools/test.py: [^\n]+$'):
        load_dump(tmp_path / 'x.pth')
    with open(tmp_path / 'y.pkl', 'wb') as file:  # pickle reports it over two lines
        torch.save(dict(x=torch.ones(1)), file, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError) as caught:
        load_dump(tmp_path / 'y.pkl')
    assert '\n' not in str(caught.value)


class Rebuilt:
    def __init__(self, storage, size, stride):
        self.parts = storage, 0, size, stride, False, {}

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.parts


class Called:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize(
    'content, sentence',
    [
        (pickle.dumps([Rebuilt(torch.ones(1).storage(), (10**12,), (0,))]), 'of fewer numbers'),
        (pickle.dumps([Called(np.ndarray, ((10**10,), 'O'))]), 'not callable'),
        (pickle.dumps([Called(codecs.encode, ('é' * 10_000, 'idna'))]), "in the codec 'idna'"),
        (b'\x80\x02]r\xff\xff\xff\x7f.', 'its memo has an entry 2147483647'),
        (b'\x80\x04\x8e' + b'\xff' * 7 + b'\x0f.', 'not a dump'),
        (b'(' * 10**6, 'not a dump'),
    ],
    ids=['expanded tensor', 'array of objects', 'codec', 'memo', 'bytes', 'marks'],
)
def test_sizes_are_bounded(tmp_path, content, sentence):
    """Each took a minute, or gigabytes."""
    (tmp_path / 'x.pkl').write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        load_dump(tmp_path / 'x.pkl')


@pytest.mark.parametrize(
    'wrong, sentence',
    [
        (dict(pred_score=[1.0]), 'pred_score of result 1 must be a tensor of one score a class'),
        (dict(pred_score=torch.rand(4)), 'as all of them are'),
        (dict(pred_score=torch.tensor(1)), 'pred_score of result 1'),
        (dict(gt_label=2), 'gt_label of result 1 must be a tensor of labels'),
        (dict(video_id=3), 'video_id of result 1 must be a text'),
        (dict(pred_score=torch.tensor([0, 1, torch.nan, 0, 0])), 'x.pkl: a: 1 of 5 scores are not'),
    ],
)
def test_values_of_other_kinds(tmp_path, wrong, sentence):
    good = dict(pred_score=torch.rand(5), gt_label=torch.tensor([2]), video_id='a')
    dump([good, good | wrong], tmp_path / 'x.pkl')
    with pytest.raises(ValueError, match=sentence):
        load_dump(tmp_path / 'x.pkl')
