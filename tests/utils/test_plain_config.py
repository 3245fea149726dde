import pytest
from mmengine.config import Config

from mmaction_emim.utils.plain_config import read_plain_config

from .. import configs


@pytest.mark.parametrize('path', ['emim_sthv1', 'ata/timesformer-ata_divST_8xb4-u16-15e_sthv2-rgb'])
def test_as_mmengine_reads_what_it_wrote(path):
    cfg = configs.config(configs.FOLDER / f'{path}.py')
    read = read_plain_config(cfg.pretty_text)
    assert read == Config.fromstring(cfg.pretty_text, '.py').to_dict()
    assert {'train_pipeline', 'optim_wrapper'} <= read.keys()


def test_nothing_is_run(tmp_path):
    touched = tmp_path / 'touched'
    text = f'import os\na = 1\nos.mkdir({str(touched)!r})\nb = dict(c=os.mkdir({str(touched)!r}))\n'
    read = read_plain_config(text)
    assert read['a'] == 1 and read['b'] != dict(c=None)
    assert not touched.exists()


@pytest.mark.parametrize('text', ['a = ', 'a\0', '(' * 10_000, '-' * 100_000 + '1'])
def test_no_python(text):
    with pytest.raises(ValueError, match='not the text of a config'):
        read_plain_config(text)
