"""A recognizer as one graph, for ``torch.export`` and ONNX."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from torch import Tensor, nn

from mmaction_emim.models.motion import AlignmentGuidedTemporalAttention, EMIMAttention
from mmaction_emim.utils.checkpoint_damage import check_whole

from .complexity import without_downloads
from .export_metadata import FILE
from .recognizer import dataset_meta

OPSET = 18


class Scores(nn.Module):
    """Frames in 0 to 255 to scores of classes, normalization included.

    Args:
        model: A recognizer on (N, 3, T, H, W) clips with ``ActionDataPreprocessor``.

    Attributes:
        dataset_meta: What its checkpoint says of the data that it was trained on.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.cls_head
        self.neck = model.neck if model.with_neck else None
        normalize = model.data_preprocessor
        shape = (1, 3, 1, 1, 1)
        self.register_buffer('mean', normalize.mean.view(shape).clone())
        self.register_buffer('std', normalize.std.view(shape).clone())
        self.dataset_meta: dict[str, Any] = {}

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W), float32, RGB -> (N, classes)."""
        x = self.backbone((clip - self.mean) / self.std)
        if self.neck is not None:
            x, _ = self.neck(x, None)
        return self.head(x)


def exportable(cfg: Config, checkpoint: str | None = None) -> Scores:
    """The config's recognizer on plain torch operators, in evaluation.

    Args:
        cfg: Config of a ``Recognizer3D``.
        checkpoint: Its weights; None leaves them random.

    Raises:
        ValueError: The recognizer is of another kind, or holds ATA with an assignment.
    """
    if not cfg.model.type.endswith('Recognizer3D'):
        raise ValueError(f'export: model.type must be Recognizer3D, got {cfg.model.type!r}')
    init_default_scope('mmaction')
    model = MODELS.build(without_downloads(cfg.model))
    loaded = {}
    if checkpoint:
        loaded = load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    for module in model.modules():
        if isinstance(module, EMIMAttention):
            module.backend = 'tiled'  # of plain operators
        if isinstance(module, AlignmentGuidedTemporalAttention) and module.assignment != 'none':
            raise ValueError(
                f'export: {type(module).__name__} has assignment={module.assignment!r}, whose '
                "rounds depend on the clip, which no graph holds; accepted is 'none'"
            )
    scores = Scores(model).eval()
    scores.dataset_meta = dataset_meta(loaded)
    return scores


def export(
    model: Scores,
    shape: tuple[int, int, int],
    path: Path,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Write ``.pt2`` (``torch.export``) or ``.onnx``; the batch may have any size.

    Args:
        model: From :func:`exportable`.
        shape: (T, H, W) of the clips.
        path: Its suffix says which.
        metadata: What the file says of itself, from :func:`.describe_export`, which
            :func:`.exported_metadata` reads. In ONNX each value is JSON in ``metadata_props``, in
            ``.pt2`` all are one extra file, ``mmaction_emim.json``. Default None: it says nothing.

    Raises:
        ValueError: Another suffix.
        ImportError: onnx or onnxscript is missing.
    """
    clip = torch.rand(2, 3, *shape) * 255
    batch = torch.export.Dim('batch', min=1, max=1024)
    if path.suffix.lower() == '.pt2':
        program = torch.export.export(model, (clip,), dynamic_shapes={'clip': {0: batch}})
        files = {FILE: json.dumps(metadata)} if metadata else {}
        torch.export.save(program, path, extra_files=files)
    elif path.suffix.lower() == '.onnx':
        program = torch.onnx.export(
            model,
            (clip,),
            input_names=['clip'],
            output_names=['scores'],
            dynamic_shapes={'clip': {0: batch}},
            opset_version=OPSET,
            dynamo=True,
        )
        for key, value in (metadata or {}).items():
            program.model.metadata_props[key] = json.dumps(value)
        program.save(path, external_data=False)
    else:
        raise ValueError(f'{path}: the suffix must be .pt2 or .onnx')


def load_exported(path: Path) -> Callable[[Tensor], Tensor]:
    """What :func:`export` wrote, as a function of clips; ``.onnx`` runs in onnxruntime.

    Raises:
        ValueError: The ``.pt2`` is damaged.
    """
    if path.suffix.lower() == '.pt2':
        check_whole(path)
        return torch.export.load(path).module()
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda clip: torch.from_numpy(session.run(None, {'clip': clip.numpy()})[0])
