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


def play(quickstart, monkeypatch, root, seed=0):
    """The commands of a whole quickstart, of which none is run: a training is over at once."""
    commands = []

    def run(title, command, share_done):
        commands.append(command)
        folder = root / command[command.index('--work-dir') + 1] if title != 'generate' else root
        if title == 'train':
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))

    names = quickstart['run'].__globals__
    for name, instead in dict(
        run=run, generate=lambda: None, draw_curves=lambda *_: None, top1_of=lambda _: 0.5
    ).items():
        monkeypatch.setitem(names, name, instead)
    monkeypatch.setattr('sys.argv', ['quickstart.py', '--seed', str(seed)])
    quickstart['main']()
    return commands


def test_each_seed_is_trained_once_and_its_own_network_is_tested(
    quickstart, monkeypatch, tmp_path, capsys
):
    config = tmp_path / quickstart['CONFIG']
    config.parent.mkdir()
    config.write_text('max_epochs = 2\n')
    trained = {}
    for seed in (0, 1):
        train, *tests = play(quickstart, monkeypatch, tmp_path, seed)
        assert train[0] == 'tools/train.py' and train[-2:] == ['--seed', str(seed)]
        trained[seed] = train[train.index('--work-dir') + 1]
        assert len(tests) == 3 and all(trained[seed] in ' '.join(test) for test in tests)
    assert trained[0] != trained[1]
    assert {command[0] for command in play(quickstart, monkeypatch, tmp_path)} == {'tools/test.py'}
    assert 'changed since' not in capsys.readouterr().out

    config.write_text('max_epochs = 3\n')
    play(quickstart, monkeypatch, tmp_path)
    out = capsys.readouterr().out.replace('\n', ' ')
    assert f'changed since {trained[0]} was trained' in out

    (tmp_path / trained[0] / 'done').unlink()  # as where it was interrupted
    train, *_ = play(quickstart, monkeypatch, tmp_path)
    assert train[-1] == '--resume' and train[-3:-1] == ['--seed', '0']


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
