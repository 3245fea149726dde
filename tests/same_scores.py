"""Twenty clips and the scores that tools/test.py gives them, for everything else that predicts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmaction_emim.evaluation.dump import load_dump

from .conftest import ROOT

CLIPS = 20


@dataclass(frozen=True)
class SameScores:
    """A network whose motion features are not zero, clips, and their scores in a test.

    Attributes:
        config: Config file.
        checkpoint: Checkpoint file.
        clips: Paths of the clips.
        scores: (clips, classes), raw, averaged over views.
    """

    config: Path
    checkpoint: Path
    clips: list[str]
    scores: Tensor

    def check(self, scores: object, tolerance: float = 1e-6) -> None:
        """Whether scores of the clips in their order, (clips, classes), are those of the test."""
        scores = torch.as_tensor(scores, dtype=torch.float32)
        torch.testing.assert_close(scores, self.scores, rtol=tolerance, atol=tolerance)


def same_scores(call: Callable, motion_shapes: Path, folder: Path) -> SameScores:
    """Make the network in ``folder`` and test it, in this process, on clips of ``motion_shapes``.

    Args:
        call: The fixture of this name.
        motion_shapes: The fixture of this name.
        folder: An empty one.
    """
    rows = (motion_shapes / 'test.txt').read_text().splitlines()[:CLIPS]
    (folder / 'list.txt').write_text('\n'.join(rows))
    config, checkpoint = folder / 'config.py', folder / 'weights.pth'
    base = ROOT / 'configs' / 'emim_motionshapes.py'
    data = dict(data_root=str(motion_shapes), ann_file=str(folder / 'list.txt'))
    config.write_text(f'_base_ = {str(base)!r}\ntest_dataloader = dict(dataset=dict(**{data}))\n')
    torch.save(dict(state_dict=lively_weights(Config.fromfile(config))), checkpoint)
    dump = folder / 'dump.pkl'
    arguments = [str(config), str(checkpoint), '--dump', str(dump), '--work-dir', str(folder / 'w')]
    done = call('tools/test.py', *arguments)
    assert done.returncode == 0, done.stderr
    results = load_dump(dump)
    scores = torch.stack([result['pred_score'] for result in results])
    assert len(scores) == CLIPS and scores.std(0).min() > 1e-3  # clips are told apart
    return SameScores(
        config, checkpoint, [str(motion_shapes / row.split()[0]) for row in rows], scores
    )


def lively_weights(cfg: Config) -> dict[str, Tensor]:
    """Random weights of a config's network, of which no layer gives zeros."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, parameter in model.named_parameters():
        if 'motion_conv.2' in name or 'proj' in name or 'fc_cls' in name:
            nn.init.normal_(parameter, std=0.1)
    return model.state_dict()
