"""A recognizer from a config and a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from mmaction.apis import init_recognizer as upstream
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from torch import nn

from mmaction_emim.models.weights.fit import load_checkpoint
from mmaction_emim.utils.config_names import find_config


def init_recognizer(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device = 'cuda:0',
) -> nn.Module:
    """:func:`mmaction.apis.init_recognizer` that loads as ``load_from`` does.

    MMAction2's own leaves a random network, with a warning, where the checkpoint has other names,
    as the files of EMIM's and UniFormer's authors have. Takes the same arguments, and the name of
    a config (:func:`.find_config`) for its file.

    Returns:
        The recognizer in evaluation. ``cfg`` is its config, ``dataset_meta`` what the checkpoint
        says of the data that it was trained on, a dict, which is empty where it says nothing.

    Raises:
        ValueError: The checkpoint is damaged, or none of its weights fits.
    """
    model = upstream(config if isinstance(config, Config) else find_config(config), None, device)
    model.dataset_meta = {}
    if checkpoint is not None:
        loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
        model.dataset_meta = dataset_meta(loaded)
        share = load_checkpoint(model, loaded, str(checkpoint))
        print_log(f'{checkpoint}: {share}', logger='current')
    return model


def dataset_meta(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of the data that it was trained on; empty where it says nothing."""
    meta = checkpoint.get('meta')
    found = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}
