"""From miniatures of the official downloads to a tested checkpoint, by configs of short names."""

import re

import pytest

from .. import official

CLIPS = dict(train=1, val=1)
WRITERS = {
    'sthv1': lambda folder: official.write_sthv1(folder, **CLIPS),
    'sthv2': lambda folder: official.write_sthv2(folder, **CLIPS),
    'kinetics400': lambda folder: official.write_kinetics(folder, 400, **CLIPS),
    'diving48': lambda folder: official.write_diving48(folder, **CLIPS),
}
DOORS = {'kinetics400': 'emim_k400'}


@pytest.mark.slow
@pytest.mark.parametrize('name', WRITERS)
def test_prepare_train_test(run, tmp_path, name):
    download, data, work = tmp_path / 'download', tmp_path / name, tmp_path / 'work'
    download.mkdir()
    WRITERS[name](download)
    tool = f'tools/data/{name.removesuffix("400")}/prepare.py'
    done = run(tool, str(download), str(data), '--subset', '--workers', '2')
    # Of Kinetics' 400 training clips one is there: clips disappear from the web.
    assert done.returncode == (3 if name == 'kinetics400' else 0), done.stderr

    config = f'configs/{DOORS.get(name, f"emim_{name}")}.py'
    loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
    roots = [f'{loader}.dataset.data_root={data}' for loader in loaders]
    # Only so that it ends soon on a CPU: one epoch, no validation, no pretrained weights.
    short = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=2']
    short += ['model.backbone.init_cfg=None']
    short += [f'{loader}.batch_size=1' for loader in loaders]
    options = ['--work-dir', str(work), '--cfg-options', *roots, *short]
    done = run('tools/train.py', config, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    dump = tmp_path / 'result.pkl'
    checkpoint = str(work / 'epoch_1.pth')
    done = run('tools/test.py', config, checkpoint, '--dump', str(dump), *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r'acc/failed_clips: 0\b', done.stdout)
    (val,) = data.glob('*_val_list_*.txt')
    assert dump.exists() and f'[{len(val.read_text().splitlines())}/' in done.stdout
