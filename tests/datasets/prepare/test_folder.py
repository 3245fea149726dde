from mmaction_emim.datasets.annotations import Clip
from mmaction_emim.datasets.prepare.folder import Split, index_files, write_videos

from ..numbered_clips import KINDS


def test_suffixes_in_any_letter_case(tmp_path):
    for name in ('a.MP4', 'b.webm', 'c.WebM', 'd.txt'):
        (tmp_path / name).touch()
    assert index_files(tmp_path) == (dict(a='a.MP4', b='b.webm', c='c.WebM'), {})


def test_odd_time_stamps_are_reported_and_the_clip_is_kept(tmp_path, capsys):
    KINDS['VP9, equal time stamps'].make(tmp_path / 'a.webm')
    split = Split('train', [Clip('a', 0, 'x.csv:1')], 'list.txt', tmp_path, 1, keep_bad=False)
    assert write_videos(tmp_path, [split], ['class'], workers=1)
    assert (tmp_path / 'list.txt').read_text() == 'a.webm 0\n'
    reported = 'train\ta\ttime stamps\t26 of 40 frames with the time stamp of another\n'
    assert (tmp_path / 'report.tsv').read_text().splitlines(keepends=True)[1:] == [reported]
