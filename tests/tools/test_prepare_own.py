"""tools/data/own/prepare.py, and what it writes in the tools that come after it."""

import re

import pytest
from mmengine.device import get_device

from ..conftest import ROOT
from ..own_clips import CONTAINERS, write_own_clips, write_phone_clips

TOOL = 'tools/data/own/prepare.py'
REAL = ROOT.parent / 'shared' / 'data' / 'fight'


@pytest.mark.slow
@pytest.mark.parametrize(
    'write, count', [(write_own_clips, 18), (write_phone_clips, 40)], ids=['containers', 'phone']
)
def test_train_and_test_take_what_it_writes(tmp_path, run, call, write, count):
    write(tmp_path / 'gestures', count)
    out, work = tmp_path / 'out' / 'gestures', tmp_path / 'work'
    done = run(TOOL, str(tmp_path / 'gestures'), str(out), '--network', 'tiny', '--workers', '1')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f'next: python tools/train.py {out}/gestures.py')
    options = [
        *('--cfg-options', 'size=32', 'train_cfg.max_epochs=1', 'train_dataloader.num_workers=0'),
        *('val_dataloader.num_workers=0', 'test_dataloader.num_workers=0'),
        *(f'{loader}_dataloader.persistent_workers=False' for loader in ('train', 'val', 'test')),
    ]
    config = str(out / 'gestures.py')
    done = call('tools/train.py', config, '--work-dir', str(work), *options)
    assert done.returncode == 0, done.stderr
    assert not list(work.glob('failed_clips_*.txt'))
    checkpoint = str(work / 'epoch_1.pth')
    done = call('tools/test.py', config, checkpoint, '--work-dir', str(work), *options)
    assert done.returncode == 0, done.stderr
    assert 'acc/failed_clips: 0' in done.stdout + done.stderr


@pytest.mark.slow
def test_all_is_said_of_three_hundred_clips(tmp_path, call):
    """What docs/own_data.md has in its table; of the person 03 a clip is on the other side."""
    folder, out = tmp_path / 'clips', tmp_path / 'out'
    write_own_clips(folder, count=300)
    names = [path.relative_to(folder).as_posix() for path in folder.glob('*/*')]
    held_out = [x for x in names if re.search(r'p4\d_', x) or 'p03_20' in x]
    for split, listed in dict(train={*names} - {*held_out}, test=held_out).items():
        (tmp_path / f'{split}.txt').write_text(''.join(f'{name}\n' for name in sorted(listed)))
    lists = [f'{split}={tmp_path / split}.txt' for split in ('train', 'test')]
    done = call(
        TOOL, str(folder), str(out), '--group-pattern', r'(p\d+)_', '--val', '0',
        '--workers', '2', '--split-lists', *lists,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout
    first = said.splitlines()[0]
    assert first.startswith('300 clips found: ')
    assert {*re.findall(r'(\.\w+) 2[4-6]', first)} == {*CONTAINERS}
    assert 'not a clip of a class, 1: notes.txt' in said
    assert re.search(r'1 left out, undecodable: jump/\S+ \(cut short, \d+ bytes', said)
    assert '1 left out, empty: jump/' in said
    assert '3 left out, the same content as another: clap/p00_0.MP4 = clap/copy_of_' in said
    other_side = r'5 left out, its group is in a held-out list, too: \S*p03_18\S* \(p03\), '
    assert re.search(other_side, said)
    assert 'in lists: train 232, test 58' in said
    assert ('no GPU was found' in said) == (get_device() == 'cpu')
    rows = [row.split('\t') for row in (out / 'report.tsv').read_text().splitlines()[1:]]
    sides = [{row[3] for row in rows if row[0] == split} for split in ('train', 'test')]
    assert len(rows) == 300 and 'p03' in sides[1] and not sides[0] & sides[1]


def test_one_clear_sentence(tmp_path, call):
    done = call(TOOL, str(tmp_path / 'nothing'), str(tmp_path / 'out'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f'error: {tmp_path}/nothing: no such folder or table'
    done = call(TOOL, str(tmp_path), str(tmp_path / 'out'), '--columns', 'path')
    assert done.returncode == 2 and "expected NAME=VALUE, got 'path'" in done.stderr
    done = call(TOOL, str(tmp_path), str(tmp_path / 'out'), '--split-lists', 'test=a', 'test=b')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == 'error: --split-lists: test is given 2 times'


@pytest.mark.skipif(not REAL.is_dir(), reason='needs the clips of ../shared/data, not in here')
def test_real_clips_with_their_published_split(tmp_path, call):
    lists = [f'{split}={REAL / split}.txt' for split in ('train', 'test')]
    done = call(TOOL, str(REAL), str(tmp_path / 'out'), '--val', '0', '--split-lists', *lists)
    assert done.returncode == 0, done.stderr
    assert 'in lists: train 230, test 70' in done.stdout
    assert 'at 10 to 30 frames a second' in (tmp_path / 'out' / 'out.py').read_text()
