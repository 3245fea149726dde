"""One, two and four processes with the same batch are one training."""

import json

import pytest

from .jobs import Variant
from .test_kills import scores

pytestmark = pytest.mark.slow

CONFIG = """
custom_imports = dict(imports=['mmaction_emim', 'tests.reliability.same_batch'],
    allow_failed_imports=False)
custom_hooks = [*_base_.custom_hooks, dict(type='FrozenBatchNormHook')]
model['backbone']['drop_path_rate'] = 0.0
val_dataloader['dataset']['ann_file'] = 'uneven.txt'
"""


@pytest.fixture(scope='module')
def runs(drills, tmp_path_factory):
    """(losses, scores) by the number of processes; 23 clips are validated."""
    lines = (drills.data / 'test.txt').read_text().splitlines(keepends=True)
    (drills.data / 'uneven.txt').write_text(''.join(lines[:23]))
    found = {}
    for processes in (1, 2, 4):
        work = tmp_path_factory.mktemp('same') / 'work'
        job = drills.start(Variant('same', processes, more=CONFIG), work)
        assert not any(job.wait()), job.log.read_text()[-3000:]
        losses = [json.loads(line) for line in (work / 'losses.jsonl').read_text().splitlines()]
        found[processes] = losses, scores(work)
    return found


@pytest.mark.parametrize('processes', [2, 4])
def test_losses(runs, processes):
    alone, together = runs[1][0], runs[processes][0]
    assert len(alone) == len(together) == 12 and alone[0] != alone[-1]
    assert together == pytest.approx(alone, abs=1e-5, rel=0)


@pytest.mark.parametrize('processes', [2, 4])
def test_scores_of_uneven_batches(runs, processes):
    assert len(runs[1][1]) == 2
    assert runs[processes][1] == runs[1][1]
