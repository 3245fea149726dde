"""A recognizer for videos from its backbone and what was trained on the backbone's maps."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.models.weights.authors import weights_of
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint
from mmaction_emim.utils.config_names import read_config

from .extraction import load_backbone
from .recognizer import dataset_meta

SHARED = ('backbone.', 'data_preprocessor.')  # with the network that made the maps


def join_checkpoints(
    config: str | Path | Config, checkpoint: str | Path | None, trained: str | Path
) -> dict[str, Any]:
    """The checkpoint of a whole recognizer.

    Args:
        config: The whole network: the backbone that made the maps, neck and head that were trained
            on them. A file, the name of a config (:func:`.find_config`) or a config.
        checkpoint: The backbone's; None: the weights that the config itself names.
        trained: Checkpoint of the training on maps.

    Returns:
        ``state_dict`` and ``meta``, as ``tools/test.py`` and ``load_from`` take them.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is no checkpoint, or neck or head are not those of the config.
    """
    cfg = read_config(config)
    init_default_scope('mmaction')
    whole = load_backbone(cfg, checkpoint, 'cpu').state_dict()
    found = read_checkpoint(Path(trained))
    new = {k: x for k, x in weights_of(found).items() if not k.startswith(SHARED)}
    needed = {k: x for k, x in whole.items() if not k.startswith(SHARED)}
    for name in sorted(new.keys() | needed.keys()):
        shapes = [tuple(x[name].shape) if name in x else 'none' for x in (needed, new)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f'{trained}: {name} is {shapes[1]}, and in the network of {cfg.filename} '
                f'{shapes[0]}; its neck and head must be those that were trained'
            )
    return dict(meta=dict(dataset_meta=dataset_meta(found)), state_dict=whole | new)
