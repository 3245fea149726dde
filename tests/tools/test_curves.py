import json

import pytest
from PIL import Image


@pytest.fixture
def log(tmp_path):
    path = tmp_path / 'scalars.json'
    record = dict(lr=0.1, loss=1.0, time=0.5, step=10)
    path.write_text(json.dumps(record) + '\n{"lr": 0.1, "lo')
    return path


def test_a_page_and_the_broken_line(run, log, tmp_path):
    out = tmp_path / 'new' / 'page.PNG'
    done = run('tools/analysis_tools/curves.py', str(log), '--names', 'mine', '--out', str(out))
    assert done.returncode == 0, done.stderr
    assert f'left out: {log}:2' in done.stderr
    assert '1 records of training, 0 validations' in done.stdout
    with Image.open(out) as page:
        assert page.size == (1210, 825)


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (['--names', 'a', 'b'], '--names: give 1, one a log, got 2'),
        (['--out', 'x.jpeg'], 'x.jpeg: the suffix must be one of .png, .pdf, .svg'),
    ],
)
def test_one_sentence_for_what_is_wrong(call, log, arguments, sentence):
    done = call('tools/analysis_tools/curves.py', str(log), *arguments)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == f'error: {sentence}'
