import zipfile

import pytest
import torch

from mmaction_emim.models.weights.checkpoint_file import read_checkpoint


def test_both_formats_of_torch(tmp_path):
    for zipped in (True, False):
        torch.save(dict(x=torch.ones(2)), tmp_path / 'x.pth', _use_new_zipfile_serialization=zipped)
        assert read_checkpoint(tmp_path / 'x.pth')['x'].tolist() == [1, 1]


@pytest.mark.parametrize('content', [b'', b'\x80', b'PK\x03\x04', b'\xff' * 99, b'a' * 4096])
def test_what_is_none(tmp_path, content):
    (tmp_path / 'x.pth').write_bytes(content)
    with pytest.raises(ValueError, match='^[^\n]*x.pth: not a checkpoint of weights: [^\n]+$'):
        read_checkpoint(tmp_path / 'x.pth')


def test_no_dict(tmp_path):
    torch.save(torch.ones(1), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='x.pth: .* expected a dict, got Tensor'):
        read_checkpoint(tmp_path / 'x.pth')


def test_a_bomb(tmp_path):
    torch.save(dict(x=torch.zeros(1 << 20)), tmp_path / 'x.pth')
    with (
        zipfile.ZipFile(tmp_path / 'x.pth') as old,
        zipfile.ZipFile(tmp_path / 'y.pth', 'w', zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(ValueError, match='y.pth: .* its entries are compressed'):
        read_checkpoint(tmp_path / 'y.pth')


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.pth'):
        read_checkpoint(tmp_path / 'gone.pth')


def test_a_flipped_bit(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(dict(x=torch.arange(1000.0)), path)
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(1000.0)[500].numpy().tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match='x.pth: not a checkpoint of weights: it is damaged: the'):
        read_checkpoint(path)
