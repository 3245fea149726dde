import pickle

import numpy as np
import pytest
import torch
from mmengine.fileio import dump

from mmaction_emim.evaluation.dump import load_dump


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


@pytest.mark.parametrize(
    'content, sentence',
    [
        ([Evil()], 'it holds builtins.print, which is not data'),
        ([torch.nn.Linear(1, 1)], 'which is not data'),
        ([], 'expected a list of results'),
        ([dict(pred_score=torch.rand(5))], 'result 0 has no pred_score and gt_label'),
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
