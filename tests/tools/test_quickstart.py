"""The parts of the quickstart that show how far it is; the whole of it takes minutes."""

import runpy

import pytest


@pytest.fixture
def quickstart(root, tmp_path, monkeypatch):
    names = runpy.run_path(str(root / 'tools' / 'quickstart.py'))
    monkeypatch.setitem(names['run'].__globals__, 'ROOT', tmp_path)
    (tmp_path / names['WORK']).mkdir(parents=True)
    return names


def test_share_of_the_iterations(quickstart):
    share = quickstart['_share']
    line = '11/26 - mmengine - INFO - Epoch(train)  [3][ 20/100]  lr: 1e-3'
    assert share(line, 4) == pytest.approx(2.2 / 4)
    assert share('11/26 - mmengine - INFO - Epoch(test) [19/19]  acc/top1: 0.8', 1) == 1
    assert share('11/26 - mmengine - INFO - Epoch(val) [3][3/3]', 4) is None


def test_what_fails_ends_with_its_last_line_and_status(quickstart, tmp_path, capsys):
    program = 'print("x - WARNING - 2 clips failed"); import sys; sys.exit("error: no such list")'
    with pytest.raises(SystemExit) as stopped:
        quickstart['run']('train', ['-c', program], lambda line: None)
    out = capsys.readouterr().out
    assert stopped.value.code == 1
    assert 'error: no such list' in out and 'log.txt' in out
    assert 'warning: 2 clips failed' in out
    log = (tmp_path / quickstart['LOG']).read_text()
    assert '2 clips failed' in log and 'error: no such list' in log
