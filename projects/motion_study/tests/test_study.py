"""The study through the real tools: trains, tests, tells, and repeats nothing."""

import fcntl
import json

import pytest

TOOL = 'projects/motion_study/study.py'


@pytest.mark.slow
def test_two_arms_from_nothing_to_the_tables(run, tmp_path):
    out = tmp_path / 'out'
    small = ['--seeds', '0', '--steps', '2', '--clips', '1', '--jobs', '2', '--out', str(out)]
    arms = ['--arms', 'vit-tiny/emim', 'resnet18/tsm']
    done = run(TOOL, *small, *arms)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in (out / 'results.jsonl').read_text().splitlines()]
    by_arm = {result['arm']: result for result in results}
    assert set(by_arm) == {'emim', 'tsm'} and all(r['steps'] == 2 for r in results)
    assert set(by_arm['emim']['tests']) == {'forward', 'reversed', 'shuffled', 'static'}
    assert set(by_arm['emim']['flow']) == {'before', 'after'}
    text = (out / 'study.md').read_text()
    assert '## clean, resnet18' in text and '## What the affinity sees' in text
    assert (out / 'study.png').stat().st_size > 5000

    # A lost result and test are made again from what is there; the rest is not touched.
    folder = out / 'runs' / 'clean' / 'resnet18' / 'tsm' / '2steps' / 'seed0'
    (folder / 'result.json').unlink()
    (folder / 'tests' / 'forward' / 'result.pkl').unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob('*.p[tk][hl]')}
    again = run(TOOL, *small, *arms)
    assert again.returncode == 0, again.stdout + again.stderr
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    lines = (out / 'results.jsonl').read_text().splitlines()
    assert {r['arm']: r['tests'] for r in map(json.loads, lines)} == {
        name: result['tests'] for name, result in by_arm.items()
    }

    with open(folder / 'lock') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = run(TOOL, *small, '--arms', 'resnet18/tsm')
    assert busy.returncode == 1 and f'{folder}: a study, or a training it left' in busy.stdout

    (folder / 'config.py').write_text('')
    other = run(TOOL, *small, '--arms', 'resnet18/tsm')
    assert other.returncode == 1
    assert 'holds a run of another config; delete it or give another --out' in other.stdout


def test_bad_arguments_and_absent_data_are_told(run, tmp_path):
    done = run(TOOL, '--arms', 'x', '--out', str(tmp_path))
    assert done.returncode == 1 and "--arms: 'x' matches none of" in done.stderr.splitlines()[-1]
    done = run(TOOL, '--lr', '0', '--out', str(tmp_path))
    assert done.returncode == 2 and '--lr must be above 1e-05' in done.stderr
    done = run(TOOL, '--data', 'digits', '--out', str(tmp_path))
    assert 'digits: skipped, no --real-data' in done.stdout
    assert done.stderr.splitlines()[-1] == 'error: no data set is there to run on'
