"""The preparation tools on miniatures of the official downloads."""

import json

import pytest

from .. import official
from ..official import FRAMES, MIRRORED, TEMPLATES

WRITERS = {
    'sthv1': official.write_sthv1,
    'sthv2': official.write_sthv2,
    'kinetics': lambda folder: official.write_kinetics(folder, 400),
    'diving48': official.write_diving48,
}


def prepare(run, name, folder, out, *options):
    tool = f'tools/data/{name}/prepare.py'
    return run(tool, str(folder), str(out), '--workers', '2', '--subset', *options)


def rows(path):
    return [line.split('\t') for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def download(tmp_path):
    def write(name):
        folder = tmp_path / 'download'
        folder.mkdir()
        WRITERS[name](folder)
        return folder, tmp_path / name

    return write


def test_sthv1_in_both_label_orders(download, run, call):
    folder, out = download('sthv1')
    done = prepare(run, 'sthv1', folder, out)
    assert done.returncode == 0, done.stderr
    assert f"174 classes in official order: 0 is '{TEMPLATES[-1]}'" in done.stdout
    names = (out / 'label_map.txt').read_text().splitlines()
    lines = (out / 'sthv1_train_list_rawframes.txt').read_text().splitlines()
    assert lines[0] == f'1 {FRAMES} {names.index(MIRRORED[1])}' and len(lines) == 8
    assert len(list((out / 'rawframes' / '14').iterdir())) == FRAMES
    assert prepare(call, 'sthv1', folder, out, '--label-order', 'alphabetical').returncode == 0
    assert (out / 'label_map.txt').read_text().splitlines() == sorted(names)
    lines = (out / 'sthv1_train_list_rawframes.txt').read_text().splitlines()
    assert lines[0] == f'1 {FRAMES} {sorted(names).index(MIRRORED[1])}'


def test_sthv2_reports_every_bad_clip_and_a_second_run_mends_it(download, run, call):
    folder, out = download('sthv2')
    labels = folder / 'labels'
    train = json.loads((labels / 'train.json').read_text())
    train += [train[0], dict(train[1], id='99'), dict(train[1], id='9')]
    (labels / 'train.json').write_text(json.dumps(train))
    assert prepare(call, 'sthv2', folder, out).returncode == 3

    videos = out / 'videos'
    good = (videos / '2.webm').read_bytes()
    (videos / '2.webm').write_bytes(b'')
    (videos / '3.webm').write_bytes(good[:300])
    (videos / '4.webm').write_bytes(good)
    (videos / '10.webm').unlink()
    (videos / 'sub').mkdir()
    (videos / 'sub' / '5.webm').write_bytes(good)
    before = {path: path.stat().st_mtime_ns for path in videos.glob('*.webm')}
    done = prepare(run, 'sthv2', folder, out)
    assert done.returncode == 3 and 'NOT whole' in done.stdout, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    found = {(row[0], row[1], row[2]) for row in rows(out / 'report.tsv')}
    assert found == {
        ('train', '1', 'duplicate'),
        ('train', '2', 'empty'),
        ('train', '3', 'undecodable'),
        ('train', '5', 'duplicate'),
        ('train', '99', 'missing'),
        ('val', '10', 'missing'),
        ('val', '9', 'duplicate'),
    }
    lists = {p.name: p.read_text().split('\n')[:-1] for p in out.glob('*_list_videos.txt')}
    assert [line.split()[0] for line in lists['sthv2_train_list_videos.txt']] == [
        '1.webm', '4.webm', '5.webm', '6.webm', '7.webm', '8.webm', '9.webm',
    ]  # fmt: skip
    assert '10.webm 2' in lists['sthv2_val_list_videos.txt']  # counted as wrong in tests
    assert lists['sthv2_test_list_videos.txt'] == ['13.webm 0', '14.webm 0']


@pytest.mark.slow
def test_published_counts(download, run, call):
    folder, out = download('diving48')
    done = call('tools/data/diving48/prepare.py', str(folder), str(out), '--workers', '2')
    assert done.returncode == 3
    assert 'published are 15,027: the official file is another one' in done.stdout
    done = prepare(run, 'diving48', folder, out)
    assert done.returncode == 0 and done.stdout.strip().endswith(': whole')
    assert (out / 'diving48_val_list_videos.txt').read_text().split()[:2] == [
        'test-xY_00000.mp4',
        '0',
    ]


@pytest.mark.slow
def test_kinetics(download, run, call):
    folder, out = download('kinetics')
    done = prepare(run, 'kinetics', folder, out)
    assert done.returncode == 0, done.stderr
    lines = (out / 'kinetics400_train_list_videos.txt').read_text().splitlines()
    assert len(lines) == 400 and lines[7] == 'train_00007_000007_000017.mp4 7'
    assert 'same content' in (out / 'report.tsv').read_text()
    gone = out / 'videos_val' / 'val_00001_000001_000011.mp4'
    gone.unlink()
    assert prepare(call, 'kinetics', folder, out).returncode == 3
    assert len((out / 'kinetics400_val_list_videos.txt').read_text().splitlines()) == 3


def test_one_clear_sentence(download, call):
    folder, out = download('sthv2')
    (folder / 'labels' / 'train.json').write_text('[\n{"id": "1", "template": "Nothing"}]')
    done = prepare(call, 'sthv2', folder, out)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"error: {folder / 'labels' / 'train.json'}:2: 'Nothing' is not one of the 174 classes"
    )
