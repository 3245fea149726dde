import pytest
from mmengine.config import Config

from mmaction_emim.utils.command_line import check_overrides, explain


def test_unknown_top_level_override():
    cfg = Config(dict(train_dataloader=dict()))
    check_overrides(cfg, {'train_dataloader.batch_size': 2, 'load_from': 'x.pth'})
    with pytest.raises(ValueError, match='train_dataloadr.*did you mean train_dataloader'):
        check_overrides(cfg, {'train_dataloadr.batch_size': 2})


def test_explains_an_unknown_argument():
    from mmaction_emim.models import EMIMUniFormer

    with pytest.raises(TypeError) as caught:
        EMIMUniFormer(windw=7)
    assert 'did you mean window' in explain(caught.value)


def test_explains_an_unregistered_type():
    from mmaction.registry import MODELS

    with pytest.raises(KeyError) as caught:
        MODELS.build(dict(type='EMIMUniformer'))
    assert 'did you mean EMIMUniFormer' in explain(caught.value)


def test_takes_the_last_line_of_a_workers_traceback():
    error = RuntimeError('Caught X in worker\nTraceback\n  ...\nClipError: a.mp4')
    assert explain(error) == 'ClipError: a.mp4'
