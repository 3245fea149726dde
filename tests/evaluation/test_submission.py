import pytest
import torch

from mmaction_emim.evaluation.submission import (
    SubmissionError,
    check_submission,
    read_test_list,
    submission,
)

NAMES = [f'Doing thing {i}, with something' for i in range(8)]
CLIPS = {'something': ['11', '7'], 'kinetics': ['-a_b_000003_000013', 'c_000100_000110']}
PATHS = {
    'something': ['11.webm', 'some/7.webm'],
    'kinetics': ['x/-a_b_000003_000013.mp4', 'c_000100_000110.mp4'],
}


def results(server):
    scores = [torch.arange(8.0), -torch.arange(8.0)]
    return [
        dict(pred_score=score, gt_label=torch.tensor([0]), video_id=path)
        for score, path in zip(scores, PATHS[server], strict=True)
    ]


@pytest.mark.parametrize('server', CLIPS)
def test_written_is_complete(tmp_path, server):
    path = tmp_path / 'submission.csv'
    path.write_text(submission(results(server), NAMES, server))
    check_submission(path, set(CLIPS[server]), NAMES, server)


def test_lines():
    best, worst = ';'.join(NAMES[:2:-1]), ';'.join(NAMES[:5])
    assert submission(results('something'), NAMES, 'something') == f'11;{best}\n7;{worst}\n'
    lines = submission(results('kinetics'), NAMES, 'kinetics').splitlines()
    assert lines[0].startswith('youtube_id,time_start,time_end,label_1,')
    assert lines[1].startswith(f'-a_b,3,13,"{NAMES[7]}",')


@pytest.mark.parametrize(
    'change, sentence',
    [
        (dict(failed=True), 'clip 11 could not be read in the test'),
        (dict(pred_score=torch.zeros(7)), 'clip 11: expected 8 scores, .* got 7'),
        (dict(pred_score=torch.full((8,), torch.nan)), 'clip 11: .* with NaN'),
    ],
)
def test_refuses_results(change, sentence):
    first, second = results('something')
    with pytest.raises(SubmissionError, match=sentence):
        submission([first | change, second], NAMES, 'something')


def test_refuses_results_that_name_no_clip():
    first, second = results('something')
    del second['video_id']
    with pytest.raises(SubmissionError, match='result 1 has no video_id: test with Checked'):
        submission([first, second], NAMES, 'something')
    first['video_id'] = 'clip'
    with pytest.raises(SubmissionError, match='expected YOUTUBEID_SSSSSS_EEEEEE'):
        submission([first], NAMES, 'kinetics')


GOOD = ';'.join(NAMES[:5])


@pytest.mark.parametrize(
    'text, sentence',
    [
        (f'11;{GOOD}\n', ': 1 of 2 clips have no line, such as 7'),
        (f'11;{GOOD}\n7;{GOOD}\n11;{GOOD}\n', ':3: clip 11 has a line already, .*:1'),
        (f'11;{GOOD}\n8;{GOOD}\n', ":2: clip '8' is not in the test list"),
        ('11;' + ';'.join(NAMES[:4]), ':1: expected 5 different classes'),
        ('11;' + ';'.join([NAMES[0]] * 5), ':1: expected 5 different classes'),
        (f'11;{";".join(NAMES[:4])};Nothing', ":1: 'Nothing' is not in the label map"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, text, sentence):
    path = tmp_path / 'submission.csv'
    path.write_text(text)
    with pytest.raises(SubmissionError, match=sentence):
        check_submission(path, set(CLIPS['something']), NAMES, 'something')


@pytest.mark.parametrize('text', ['', 'a,b\n', 'HEADER\nx,1\n', 'HEADER\nx,one,2,a,b,c,d,e\n'])
def test_a_broken_kinetics_file(tmp_path, text):
    header = submission(results('kinetics'), NAMES, 'kinetics').splitlines()[0]
    path = tmp_path / 'submission.csv'
    path.write_text(text.replace('HEADER', header))
    with pytest.raises(SubmissionError, match=r'submission.csv:\d: expected'):
        check_submission(path, set(CLIPS['kinetics']), NAMES, 'kinetics')


def test_the_official_lists_and_ours(tmp_path):
    def read(name, text, server='something'):
        (tmp_path / name).write_text(text)
        return read_test_list(tmp_path / name, server)

    assert read('sthv2.json', '[{"id": "11"}, {"id": 7}]') == CLIPS['something']
    assert read('sthv1.csv', '11\n7\n') == CLIPS['something']
    assert read('list.txt', '11.webm 0\nso me/7.webm 0\n') == CLIPS['something']
    assert read('frames.txt', '11 24 0\n7 30 0\n') == CLIPS['something']
    table = 'youtube_id,time_start,time_end,split\n-a_b,3,13,test\nc,100,110,test\n'
    assert read('k.csv', table, 'kinetics') == CLIPS['kinetics']
