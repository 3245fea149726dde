"""What an exported file says of itself, so that a runtime without this project can feed it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import mmaction_emim
from mmaction_emim.evaluation.protocol import CROPS, test_pipeline

FILE = 'mmaction_emim.json'  # in a .pt2


def describe_export(
    cfg: Config, shape: tuple[int, int, int], labels: Sequence[str] | None
) -> dict[str, Any]:
    """How a clip becomes the input of an exported network, and its output an answer.

    Args:
        cfg: The network's config.
        shape: (T, H, W) that was exported.
        labels: Class names; None where they are unknown.

    Returns:
        Plain values: ``version`` of this project, ``torch``, ``config``; ``input``: name, layout,
        dtype, channels, range and shape of one clip; ``normalization``: mean, std, and that the
        graph holds it; ``sampling``: the entry of the test pipeline that picks frames; ``resize``:
        ``{"short_side": 224}``, ``{"size": [H, W]}``, or the pipeline's entry where it is neither;
        ``crop``: ``{"size": [H, W], "count": 3}``; both None where there is none; ``averaging``:
        ``average_clips``; ``several_labels``: whether a clip has several, so that probabilities
        are a sigmoid of the scores and no softmax; ``labels``; ``pipeline``: all entries of the
        test pipeline.
    """
    steps = [_plain(step) for step in test_pipeline(cfg)]
    normalization = cfg.model.data_preprocessor
    about = dict(
        version=mmaction_emim.__version__,
        torch=torch.__version__,
        config=Path(cfg.filename).name if cfg.filename else None,
        input=dict(
            name='clip',
            layout='NCTHW',
            dtype='float32',
            channels='RGB',
            range=[0, 255],
            shape=list(shape),
        ),
        normalization=dict(
            mean=list(normalization.mean), std=list(normalization.std), in_graph=True
        ),
        sampling=next((step for step in steps if 'Sample' in step['type']), None),
        resize=next((_resize(step) for step in steps if step['type'] == 'Resize'), None),
        crop=next((_crop(step) for step in steps if step['type'].endswith('Crop')), None),
        averaging=cfg.model.cls_head.get('average_clips'),
        several_labels=bool(cfg.model.cls_head.get('multi_class')),
        labels=labels and list(labels),
        pipeline=steps,
    )
    return json.loads(json.dumps(about))  # lists where configs have tuples


def exported_metadata(path: Path) -> dict[str, Any]:
    """What :func:`describe_export` gave when a file was exported; empty where it says nothing."""
    if Path(path).suffix.lower() == '.pt2':
        files = {FILE: ''}
        torch.export.load(path, extra_files=files)
        return json.loads(files[FILE] or '{}')
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    given = session.get_modelmeta().custom_metadata_map
    return {key: json.loads(value) for key, value in given.items()}


def _plain(step: dict) -> dict[str, Any]:
    kind = step['type']
    return {**step, 'type': kind if isinstance(kind, str) else kind.__name__}


def _resize(step: dict) -> dict[str, Any]:
    if not step.get('keep_ratio', True):
        return dict(size=[step['scale'][1], step['scale'][0]])
    if isinstance(step['scale'], float) or -1 not in step['scale']:
        return step
    return dict(short_side=max(step['scale']))


def _crop(step: dict) -> dict[str, Any]:
    size = step['crop_size']
    return dict(
        size=[size, size] if isinstance(size, int) else list(size)[::-1],
        count=CROPS.get(step['type'], 1),
    )
