"""The study as a command: trains, tests, tells, and repeats nothing."""

import json
import os
import subprocess
import sys

import pytest

from projects.motion_study import ROOT, study


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['study.py', *map(str, arguments)])
    study.main()


def test_bad_arguments_are_told(monkeypatch, capsys, tmp_path):
    with pytest.raises(ValueError, match="--arms: 'x' matches none of"):
        call(monkeypatch, '--arms', 'x', '--out', tmp_path)
    for name, value, why in (('lr', 0, 'above 1e-05, where'), ('jobs', 0, '1 or more, got 0')):
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, f'--{name}', value, '--out', tmp_path)
        assert f'--{name} must be {why}' in capsys.readouterr().err


def test_absent_data_are_told(monkeypatch, capsys, tmp_path):
    with pytest.raises(ValueError, match='no data set is there to run on'):
        call(monkeypatch, '--data', 'digits', '--out', tmp_path)
    assert 'digits: skipped, no --real-data' in capsys.readouterr().out
    with pytest.raises(ValueError, match='no data set is there to run on'):
        call(monkeypatch, '--data', 'fight', '--real-data', tmp_path, '--out', tmp_path)
    assert f'fight: skipped, {tmp_path} does not hold it' in capsys.readouterr().out


@pytest.mark.slow
def test_two_arms_from_nothing_to_the_tables(monkeypatch, capsys, tmp_path):
    out = tmp_path / 'out'
    options = ['--arms', 'vit-tiny/emim', 'resnet18/tsm', '--seeds', '0', '--steps', '2']
    options += ['--clips', '1', '--jobs', '2', '--out', str(out)]
    # The study finds its modules from wherever it is called.
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(
        [sys.executable, ROOT / 'projects/motion_study/study.py', *options],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in (out / 'results.jsonl').read_text().splitlines()]
    by_arm = {result['arm']: result for result in results}
    assert set(by_arm) == {'emim', 'tsm'} and all(r['steps'] == 2 for r in results)
    assert set(by_arm['emim']['tests']) == {'forward', 'reversed', 'shuffled', 'static'}
    assert set(by_arm['emim']['flow']) == {'before', 'after'}
    text = (out / 'study.md').read_text()
    assert '## clean, resnet18' in text and '## What the affinity sees' in text
    assert (out / 'study.png').stat().st_size > 5000

    # One run fails. Of the other a lost result and test are made again from what is there.
    folder = out / 'runs' / 'clean' / 'resnet18' / 'tsm' / '2steps' / 'seed0'
    (folder / 'result.json').unlink()
    (folder / 'tests' / 'forward' / 'result.pkl').unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob('*.p[tk][hl]')}
    other = out / 'runs' / 'clean' / 'vit-tiny' / 'emim' / '2steps' / 'seed0'
    (other / 'config.py').write_text('')
    with pytest.raises(SystemExit, match='1'):
        call(monkeypatch, *options)
    failed = f'{other}: holds a run of another config; delete it or give another --out'
    assert failed in capsys.readouterr().out and failed in (out / 'study.md').read_text()
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    lines = (out / 'results.jsonl').read_text().splitlines()
    assert {r['arm']: r['tests'] for r in map(json.loads, lines)} == {
        name: result['tests'] for name, result in by_arm.items()
    }
