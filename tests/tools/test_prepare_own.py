"""tools/data/own/prepare.py, and what it writes in the tools that come after it."""

import pytest

from ..conftest import ROOT
from ..own_clips import write_own_clips

TOOL = 'tools/data/own/prepare.py'
REAL = ROOT.parent / 'shared' / 'data' / 'fight'


@pytest.mark.slow
def test_train_and_test_take_what_it_writes(tmp_path, run, call):
    write_own_clips(tmp_path / 'gestures', count=18)
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
    checkpoint = str(work / 'epoch_1.pth')
    done = call('tools/test.py', config, checkpoint, '--work-dir', str(work), *options)
    assert done.returncode == 0, done.stderr
    assert 'acc/failed_clips: 0' in done.stdout + done.stderr


def test_one_clear_sentence(tmp_path, call):
    done = call(TOOL, str(tmp_path / 'nothing'), str(tmp_path / 'out'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f'error: {tmp_path}/nothing: no such folder or table'
    done = call(TOOL, str(tmp_path), str(tmp_path / 'out'), '--columns', 'path')
    assert done.returncode == 2 and "expected NAME=VALUE, got 'path'" in done.stderr


@pytest.mark.skipif(not REAL.is_dir(), reason='needs the clips of ../shared/data, not in here')
def test_real_clips_with_their_published_split(tmp_path, call):
    lists = [f'{split}={REAL / split}.txt' for split in ('train', 'test')]
    done = call(TOOL, str(REAL), str(tmp_path / 'out'), '--val', '0', '--split-lists', *lists)
    assert done.returncode == 0, done.stderr
    assert 'in lists: train 230, test 70' in done.stdout
    assert 'at 10 to 30 frames a second' in (tmp_path / 'out' / 'out.py').read_text()
