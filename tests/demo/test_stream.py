import json

import numpy as np
import pytest

from ..datasets.numbered_clips import write


@pytest.fixture
def clip(tmp_path):
    write(tmp_path / 'clip.mp4')
    return tmp_path / 'clip.mp4'


def test_without_a_config_it_is_the_network_beside_it(run, clip, tmp_path):
    out = [tmp_path / name for name in ('t.json', 't.csv', 't.png', 't.mp4')]
    options = [word for path in out for word in ('--out', str(path))]
    done = run('demo/stream.py', str(clip), '--stride', '8', *options)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith('     0.00 to      0.92 s  ')
    assert lines[3] == 'frames 40, windows 3'
    assert lines[-4:] == list(map(str, out))
    assert all(path.stat().st_size for path in out)
    windows = json.loads(out[0].read_text())['windows']
    assert [(window['first'], window['last']) for window in windows] == [(0, 23), (8, 31), (16, 39)]


def test_ends_after_so_many_seconds(call, clip, tmp_path):
    done = call(
        'demo/stream.py', str(clip), '--span', '4', '--seconds', '0.3', '--out', f'{tmp_path}/t.csv'
    )
    assert done.returncode == 0, done.stderr
    ends = np.loadtxt(tmp_path / 't.csv', delimiter=',', skiprows=1, usecols=3)
    assert ends.max() == pytest.approx(0.32)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nothing.mp4'], "error: [Errno 2] No such file or directory: 'nothing.mp4'"),
        (['x.mp4', 'emim_motionshapes'], 'error: CHECKPOINT: emim_motionshapes needs one'),
        (
            ['x.mp4', '--out', 'a.mp4', '--out', 'b.gif'],
            'error: --out: one annotated video at a time, got 2',
        ),
    ],
)
def test_says_what_is_wrong(call, arguments, message):
    done = call('demo/stream.py', *arguments)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == message
