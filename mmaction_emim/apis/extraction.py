"""What extracting features and feature maps share: the network, and what they were made of."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from mmaction_emim.datasets.feature_maps import read_json
from mmaction_emim.datasets.frame_sources import images_in

from .recognizer import init_recognizer

NAMES = ('config', 'checkpoint')  # of files, which may be copied or renamed
WEIGHTS = ('pretrained', 'checkpoint', 'download')  # likewise, in a network's config
END = 1 << 16  # bytes at both ends of a clip's file
ENCODERS = ('FrameEncoder', 'VideoEncoder')  # likewise, if their encoder is a folder or hub's name


def load_backbone(
    cfg: Config, checkpoint: str | Path | None, device: str | torch.device | None
) -> nn.Module:
    """A config's recognizer in evaluation.

    Args:
        cfg: The config.
        checkpoint: Its weights; None: those that the config itself names.
        device: None: an accelerator where there is one.
    """
    device = device or get_device()
    if checkpoint is not None:
        return init_recognizer(cfg, checkpoint, device)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.to(device).eval()


def backbone_settings(
    cfg: Config,
    model: nn.Module,
    checkpoint: str | Path | None,
    parts: tuple[str, ...] = ('backbone',),
) -> dict[str, Any]:
    """What a file of features says of the parts of the network that made it."""
    parts = tuple(part for part in parts if part in cfg.model)
    keep = ('type', *parts, 'data_preprocessor')
    network = {key: cfg.model[key] for key in keep if key in cfg.model}
    if 'blending' in (network.get('data_preprocessor') or {}):  # of training
        preprocessor = network['data_preprocessor']
        network['data_preprocessor'] = {k: v for k, v in preprocessor.items() if k != 'blending'}
    return dict(
        config=cfg.filename and Path(cfg.filename).name,
        checkpoint=checkpoint and Path(checkpoint).name,
        **{f'{part}_sha256': weights_hash(getattr(model, part)) for part in parts},
        network=network,
    )


def clip_digest(path: Path) -> str:
    """What tells a video file, or a folder of images, from others, wherever it lies.

    Of a file its size and what it begins and ends with; of a folder how many images it holds, how
    large they are together, and the first and the last of them.

    Raises:
        OSError: It cannot be read.
    """
    files = sorted(images_in(path)) if path.is_dir() else [path]
    sizes = [file.stat().st_size for file in files]
    digest = hashlib.blake2b(f'{len(sizes)} {sum(sizes)}'.encode(), digest_size=16)
    for file in {files[0]: 0, files[-1]: 0} if files else ():
        with open(file, 'rb') as content:
            digest.update(content.read(END))
            content.seek(max(0, file.stat().st_size - END))
            digest.update(content.read(END))
    return digest.hexdigest()


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a module's weights and buffers, by name."""
    digest = hashlib.sha256()
    for name, x in sorted(module.state_dict().items()):
        digest.update(f'{name} {x.dtype} {tuple(x.shape)}\n'.encode())
        digest.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def plain(settings: Any) -> Any:
    """Settings as they are once they were written as JSON."""
    return json.loads(json.dumps(settings, default=_text))


def check_settings(path: Path, settings: dict[str, Any]) -> None:
    """Refuse that a folder gets features of two kinds; one without any passes.

    Weights are known by their hash, wherever their files or folders lie.

    Args:
        path: JSON file of what was made before.
        settings: What is to be made, :func:`plain`.

    Raises:
        ValueError: Names the first setting that differs and both values.
    """
    before = read_json(path) if path.is_file() else settings
    keys = [key for key in settings if key not in NAMES]
    pair = ({key: one.get(key) for key in keys} for one in (before, settings))
    if found := _difference(*map(_without_files, pair)):
        key, was, is_now = found
        raise ValueError(f'{path}: {key} was {was}, now it is {is_now}; give another --out')


def _without_files(settings: Any) -> Any:
    """Settings without where weights are and whether they may be downloaded."""
    if isinstance(settings, list):
        return [_without_files(x) for x in settings]
    if not isinstance(settings, dict):
        return settings
    kept = {
        key: _without_files(value)
        for key, value in settings.items()
        if key not in WEIGHTS or not isinstance(value, str | bool | None)
    }
    encoder = settings.get('encoder')
    if settings.get('type') in ENCODERS and isinstance(encoder, str) and '/' in encoder:
        kept['encoder'] = "a folder or hub's name"
    return kept


def _difference(before: Any, now: Any, key: str = '') -> tuple[str, str, str] | None:
    """The first setting that differs, by its path, and both values; None: none does."""
    if before == now:
        return None
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(name, before.get(name, ...), now.get(name, ...)) for name in {**now, **before}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(i, *both) for i, both in enumerate(zip(before, now, strict=True))]
    else:
        return key, _short(before), _short(now)
    inner = (_difference(a, b, f'{key}.{name}'.lstrip('.')) for name, a, b in pairs)
    return next(filter(None, inner))


def _text(value: Any) -> Any:
    return getattr(value, '__qualname__', None) or str(value)


def _short(value: Any) -> str:
    text = 'not set' if value is ... else json.dumps(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
