from mmaction_emim.datasets.prepare.folder import index_files


def test_suffixes_in_any_letter_case(tmp_path):
    for name in ('a.MP4', 'b.webm', 'c.WebM', 'd.txt'):
        (tmp_path / name).touch()
    assert index_files(tmp_path) == (dict(a='a.MP4', b='b.webm', c='c.WebM'), {})
