import numpy as np
import pytest

from mmaction_emim.evaluation.submission import SubmissionError, check_submission, read_test_list
from mmaction_emim.models.weights.convert import reorder_head
from mmaction_emim.utils.files import read_text, walk, write_array, write_arrays, write_text

from ..full_disk import full_disk

READERS = {
    'text': read_text,
    'submission': lambda path: check_submission(path, (), (), 'something'),
    'test list': lambda path: read_test_list(path, 'something'),
    'label map': lambda path: reorder_head({}, path, reverse=False),
}
WRITERS = {
    'text': lambda path: write_text(path, 'a' * 2000),
    'array': lambda path: write_array(path, np.zeros(2000)),
    'arrays': lambda path: write_arrays(path, a=np.zeros(2000)),
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


@pytest.mark.parametrize('writer', WRITERS)
def test_what_does_not_fit_leaves_the_file_before(tmp_path, writer):
    path = tmp_path / 'file'
    path.write_bytes(b'before')
    with full_disk(1000), pytest.raises(OSError, match=r', \d+,\d+ bytes: ') as error:
        WRITERS[writer](path)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b'before' and list(tmp_path.iterdir()) == [path]


def test_what_cannot_take_its_place_does_not_stay(tmp_path):
    (tmp_path / 'folder').mkdir()
    with pytest.raises(IsADirectoryError, match=r'Is a directory: .*folder.$'):
        write_text(tmp_path / 'folder', 'a')
    assert [path.name for path in tmp_path.iterdir()] == ['folder']


def test_links_are_followed_but_not_round_in_circles_and_hidden_files_are_left_out(tmp_path):
    folder, elsewhere = tmp_path / 'folder', tmp_path / 'elsewhere'
    for path in (folder / 'b' / '2.mp4', folder / '1.mp4', elsewhere / '3.mp4'):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for hidden in ('.DS_Store', '._1.mp4', '.Trash/4.mp4'):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).touch()
    (folder / 'a').symlink_to(elsewhere)
    (folder / 'b' / 'loop').symlink_to(folder)
    (elsewhere / 'back').symlink_to(folder / 'b')
    found = [(where / name).relative_to(folder) for where, names in walk(folder) for name in names]
    assert [*map(str, found)] == ['1.mp4', 'a/3.mp4', 'a/back/2.mp4', 'b/2.mp4']
