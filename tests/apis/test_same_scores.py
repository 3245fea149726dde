"""A clip has the same scores wherever it is predicted."""

import pytest

from mmaction_emim.apis import MotionInferencer

from ..same_scores import same_scores


@pytest.fixture(scope='module')
def truth(call, motion_shapes, tmp_path_factory):
    return same_scores(call, motion_shapes, tmp_path_factory.mktemp('same'))


@pytest.fixture(scope='module')
def inferencer(truth):
    return MotionInferencer(truth.config, truth.checkpoint, 'cpu', show_progress=False)


@pytest.mark.parametrize('batch_size', [1, 8])
def test_of_the_inferencer(truth, inferencer, batch_size):
    truth.check([one.scores for one in inferencer(truth.clips, batch_size)])
