"""A recognizer from a config and a checkpoint."""

from pathlib import Path

import torch
from mmaction.apis import init_recognizer as upstream
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from mmaction_emim.models.weights.fit import load_weights


def init_recognizer(
    config: str | Path | Config,
    checkpoint: str | None = None,
    device: str | torch.device = 'cuda:0',
) -> nn.Module:
    """:func:`mmaction.apis.init_recognizer` that loads as ``load_from`` does.

    MMAction2's own leaves a random network, with a warning, where the checkpoint has other names,
    as the files of EMIM's and UniFormer's authors have. Takes the same arguments.

    Raises:
        ValueError: No weight of the checkpoint fits.
    """
    model = upstream(config, None, device)
    if checkpoint is not None:
        print_log(f'{checkpoint}: {load_weights(model, str(checkpoint))}', logger='current')
    return model
