import pytest

from mmaction_emim.evaluation.submission import SubmissionError, check_submission, read_test_list
from mmaction_emim.models.weights.convert import reorder_head
from mmaction_emim.utils.files import read_text

READERS = {
    'text': read_text,
    'submission': lambda path: check_submission(path, (), (), 'something'),
    'test list': lambda path: read_test_list(path, 'something'),
    'label map': lambda path: reorder_head({}, path, reverse=False),
}


@pytest.mark.parametrize('reader', READERS)
def test_text_of_another_encoding_is_refused_by_file_and_line(tmp_path, reader):
    path = tmp_path / 'x.txt'
    path.write_bytes('a\né'.encode('latin1'))
    with pytest.raises(ValueError, match=r'^[^\n]*x.txt:2: expected UTF-8 text: ') as caught:
        READERS[reader](path)
    assert isinstance(caught.value, SubmissionError) == (reader == 'submission')


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / 'x.txt').write_bytes(b'\xef\xbb\xbfa')
    assert read_text(tmp_path / 'x.txt') == 'a'


def test_the_tool_of_labels(call, tmp_path):
    path, labels = tmp_path / 'list.txt', tmp_path / 'labels.txt'
    labels.write_text('a\nb\n')
    path.write_bytes(b'a.mp4 0\n\xff.mp4 1\n')
    options = ['--from', str(labels), '--to', str(labels), '--out', str(tmp_path / 'out.txt')]
    done = call('tools/data/labels.py', 'convert', str(path), *options)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'error: {path}:2: expected UTF-8 text')
