"""Leaderboard and submission file from real tests of real weights on real clips."""

import csv
import re

import cv2
import mmengine
import pytest
import torch
import yaml
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.evaluation.dump import load_dump

CONFIG = 'configs/emim_motionshapes.py'


@pytest.fixture(scope='module')
def checkpoint(root, tmp_path_factory):
    """Random weights."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(root / CONFIG).model)
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def entry(checkpoint, data, name, **options):
    options |= {
        'test_dataloader.dataset.data_root': str(data),
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'model.backbone.spatial_stride': 1,
    }
    return dict(config=CONFIG, checkpoint=str(checkpoint), name=name, cfg_options=options)


@pytest.mark.slow
def test_leaderboard_and_submission(run, call, motion_shapes, checkpoint, tmp_path):
    runs, out, broken = tmp_path / 'runs.yml', tmp_path / 'out', tmp_path / 'broken.pth'
    broken.write_bytes(b'no weights')
    names = ('EMIM by score', 'EMIM by probability', 'broken')
    entries = [entry(checkpoint, motion_shapes, names[0])]
    average = {'model.cls_head.average_clips': 'prob'}
    entries.append(entry(checkpoint, motion_shapes, names[1], **average))
    entries.append(entry(broken, motion_shapes, names[2]))
    runs.write_text(yaml.safe_dump(entries))
    done = run('tools/leaderboard.py', str(runs), '--out', str(out))
    assert done.returncode == 1, done.stderr
    assert 'raw scores are averaged' in (out / names[0] / 'test.log').read_text()

    rows = {row['name']: row for row in csv.DictReader(open(out / 'leaderboard.csv'))}
    assert list(rows) == list(names[:2])
    row = rows[names[0]]
    assert (row['data'], row['frames'], row['views']) == ('MotionShapes', '8', '1 x 1')
    assert row['averaging'] == 'raw scores are averaged'
    assert rows[names[1]]['averaging'] == 'probabilities are averaged'
    log = (out / names[0] / 'test.log').read_text()
    for column, metric in (('top1', 'top1'), ('top5', 'top5'), ('mean_class', 'mean1')):
        logged = float(re.findall(rf'acc/{metric}: ([\d.]+)', log)[-1])
        assert float(row[column]) == pytest.approx(100 * logged, abs=0.006)
    text = (out / 'leaderboard.md').read_text()
    assert f'| {names[0]} |' in text and '- broken: ' in text
    assert cv2.imread(str(out / 'leaderboard.png')).std() > 5

    dump = out / names[0] / 'result.pkl'
    before = dump.stat().st_mtime_ns
    runs.write_text(yaml.safe_dump(entries[:1]))
    assert call('tools/leaderboard.py', str(runs), '--out', str(out)).returncode == 0
    assert dump.stat().st_mtime_ns == before
    check_submission(run, call, motion_shapes, dump, tmp_path)


def check_submission(run, call, motion_shapes, dump, tmp_path):
    lines = (motion_shapes / 'test.txt').read_text().splitlines()
    assert [r['video_id'] for r in load_dump(dump)] == [line.split()[0] for line in lines]
    # Ids as the server's: the clips of MotionShapes are numbered by class.
    results = [dict(r, video_id=f'{i}.webm') for i, r in enumerate(load_dump(dump))]
    numbered, wanted = tmp_path / 'numbered.pkl', tmp_path / 'test.csv'
    mmengine.dump(results, numbered)
    wanted.write_text(''.join(f'{i}\n' for i in range(len(results))))
    out, options = tmp_path / 'submission.csv', ['--label-map', str(motion_shapes / 'classes.txt')]
    options += ['--test-list', str(wanted)]
    done = run('tools/submission.py', 'write', str(numbered), '--out', str(out), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f'{len(results)} clips, complete\n')
    wanted.write_text('0\n100\n')
    done = call('tools/submission.py', 'check', str(out), *options)
    assert done.returncode == 1
    assert "submission.csv:2: clip '1' is not in the test list" in done.stderr.splitlines()[-1]
