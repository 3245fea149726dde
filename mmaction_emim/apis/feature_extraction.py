"""A feature vector for every window of videos, a file a video, for temporal localization."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import autocast
from torch import Tensor, nn

from mmaction_emim.datasets.feature_maps import map_file, read_json
from mmaction_emim.datasets.stream_source import StreamSource
from mmaction_emim.evaluation.protocol import test_pipeline
from mmaction_emim.utils.command_line import explain
from mmaction_emim.utils.files import read_text, write_array, write_arrays, write_text
from mmaction_emim.utils.finite import check_finite

from .clips import Clip, clips_of
from .extraction import (
    backbone_settings,
    check_settings,
    clip_digest,
    load_backbone,
    plain,
)
from .inferencer import MotionInferencer
from .stream import MotionStream, distinct_views
from .windows import SlidingWindows

ABOUT = 'features.json'
STAGES = ('neck', 'backbone')
BATCH = 4  # windows


class Features(NamedTuple):
    """A video's features.

    Attributes:
        features: (windows, C), float32.
        start: Where each window begins, seconds, float64 (windows,).
        end: Where its last frame ends.
        fps: Frames a second; 0.0 where unknown.
        span: Frames of a window.
        stride: Frames from one window's start to the next one's.
        clip: What tells the clip from others of its name, see :func:`.clip_digest`.
    """

    features: np.ndarray
    start: np.ndarray
    end: np.ndarray
    fps: float
    span: int
    stride: int
    clip: str = ''


@dataclass(frozen=True)
class FeatureReport:
    """What became of a video.

    Attributes:
        name: Its path, as it was given.
        file: Its features.
        windows: How many; None where the file was there before.
        error: Why there are none, one sentence; None where there are.
    """

    name: str
    file: Path
    windows: int | None = None
    error: str | None = None


def extract_features(
    config: str | Path | Config,
    checkpoint: str | Path | None,
    inputs: Any,
    out: str | Path,
    whole: bool = False,
    span: int | None = None,
    stride: int | None = None,
    stage: str = 'neck',
    file_format: str = 'npz',
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    root: str | Path | None = None,
) -> Iterator[FeatureReport]:
    """Write the features of videos, one after another; one that cannot be read is reported.

    A window is ``span`` frames that follow each other, which go through the config's own test
    pipeline; its vector is the mean of the network's feature map over time, place and views. Each
    frame is decoded once, and memory is bounded. Windows start ``stride`` frames apart; frames
    after the last whole one belong to none, a video of fewer than ``span`` frames is one window.
    A file that is there already is kept, if ``OUT/features.json`` says the same settings; where it
    holds the features of another clip of that name, as of another folder, that is an error which is
    reported.

    Args:
        config: A config file, the name of a config (:func:`.find_config`) or a config.
        checkpoint: File or address; None: the weights that the config itself names.
        inputs: What :func:`.clips_of` takes of files: a video, a folder, which is searched; a list
            of them; or a ``.txt`` list, a path a line, perhaps with labels behind.
        out: Folder. A video's file has its path below the folder or list that named it, with
            another suffix.
        whole: A video is one window, sampled as the config's test samples a clip. Default False.
        span: Frames. Default None: what the config's sampling reaches over; 4 seconds where it
            spreads its frames over the whole clip.
        stride: Frames. Default None: a quarter of ``span``.
        stage: ``'neck'`` (default): behind the neck, if there is one; ``'backbone'``: before it.
        file_format: ``'npz'`` (default): the arrays of :class:`.Features` by their names; ``'npy'``
            and ``'csv'``: the features alone, with the rest in a JSON file beside them.
        batch_size: Windows a forward pass. Default None: 4. Not with ``whole``.
        device: Default None: an accelerator where there is one.
        root: What a list's paths are relative to. Default None: the list's folder.

    Raises:
        FileNotFoundError, ValueError, TypeError: Config, checkpoint, inputs or arguments are not
            there or do not fit, ``out`` was made in another way, two videos would be one file.
    """
    given = dict(span=span, stride=stride, batch_size=batch_size)
    for name, value in given.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f'extract_features: {name} must be 1 or more, got {value!r}')
    if whole and (used := [name for name, value in given.items() if value is not None]):
        raise ValueError(f'extract_features: {", ".join(used)} has no effect with whole=True')
    if stage not in STAGES:
        raise ValueError(f"extract_features: stage must be 'neck' or 'backbone', got {stage!r}")
    if file_format not in WRITERS:
        raise ValueError(
            f'extract_features: file_format must be {", ".join(WRITERS)}, got {file_format!r}'
        )
    out = Path(out)
    files = _files(inputs, out, file_format, root)
    network = _Features(config, checkpoint, device, stage)
    parts = ('backbone', 'neck') if stage == 'neck' else ('backbone',)
    settings = plain(
        dict(
            **backbone_settings(network.cfg, network.model, checkpoint, parts),
            stage=stage,
            whole=whole,
            span=span,
            stride=stride,
            format=file_format,
            pipeline=test_pipeline(network.cfg),
        )
    )
    check_settings(out / ABOUT, settings)
    write_text(out / ABOUT, json.dumps(settings, indent=1, ensure_ascii=False) + '\n')
    for file, clip in files.items():
        try:
            if _is_there(file, clip.source):
                found = None
            elif whole:
                found = network.of_clip(clip)
            else:
                found = network.of_windows(clip, span, stride, batch_size or BATCH)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of any class, as transforms are anybody's
            yield FeatureReport(clip.name, file, error=explain(error))
            continue
        if found is None:
            yield FeatureReport(clip.name, file)
            continue
        WRITERS[file_format](file, found._replace(clip=clip_digest(clip.source)))
        yield FeatureReport(clip.name, file, len(found.features))


class _Features(MotionInferencer):
    """Feature vectors in the place of scores. Overrides the private ``_init_model``."""

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        device: str | torch.device | None,
        stage: str,
    ) -> None:
        super().__init__(config, checkpoint, device, show_progress=False)
        self.stage = stage

    def _init_model(self, cfg: Config, weights: str | None, device: str) -> nn.Module:
        if weights is not None:
            return super()._init_model(cfg, weights, device)
        model = load_backbone(cfg, None, device)
        model.dataset_meta = {}
        return model

    def of_clip(self, clip: Clip) -> Features:
        """One window of a whole clip, sampled by the config."""
        reader = clip.open()
        frames, fps = len(reader), reader.get_avg_fps()
        del reader
        end = frames / fps if fps else 0.0
        features = self.vectors([self.load(clip)])
        check_finite(features, clip.name, 'features')
        return Features(features, np.zeros(1), np.array([end]), fps, frames, frames)

    def of_windows(self, clip: Clip, span: int | None, stride: int | None, batch: int) -> Features:
        """Windows of a video file."""
        if not isinstance(clip.source, Path) or not clip.is_video:
            raise ValueError(f'{clip.name}: frames without times have no windows; take it whole')
        source = StreamSource(clip.source)
        lengths = MotionStream(self, span, stride, reuse=False)
        span, stride = lengths.span(source.fps), lengths.stride(source.fps)
        rows, times = [], []
        batch = 1 if self._one_by_one else batch
        for windows in SlidingWindows(source, span, stride, batch, last=False):
            frames = [window for window, _ in windows]
            images = [np.stack([frame.image for frame in window]) for window in frames]
            rows.append(self.vectors([distinct_views(self.load(x)) for x in images]))
            times += [(window[0].seconds, window[-1].seconds + 1 / source.fps) for window in frames]
        if source.broken:
            raise ValueError(f'{clip.name}: {source.broken} packets cannot be decoded')
        if not rows:
            raise ValueError(f'{clip.name}: the clip has no frames')
        start, end = np.array(times).T
        features = np.concatenate(rows)
        check_finite(features, clip.name, 'features')
        return Features(features, start, end, source.fps, span, stride)

    @torch.no_grad()
    def vectors(self, views: Sequence[Tensor]) -> np.ndarray:
        """Clips of one size from :meth:`load` -> (clips, C), float32."""
        options = dict(test_mode=True) if self.stage == 'neck' else dict(stage='backbone')
        with autocast() if self._fp16 else nullcontext():
            x, _ = self.model.extract_feat(self.model_inputs(views), **options)
        pooled = [
            one.float().flatten(2).mean(-1) if one.dim() > 2 else one.float() for one in _maps(x)
        ]
        means = [one.unflatten(0, (len(views), -1)).mean(1) for one in pooled]  # frames, views
        return torch.cat(means, dim=1).cpu().numpy()


def _maps(x: Any) -> Iterator[Tensor]:
    """The tensors in what a network returns."""
    if isinstance(x, Tensor):
        yield x
    else:
        for one in x:
            yield from _maps(one)


def _files(inputs: Any, out: Path, suffix: str, root: str | Path | None) -> dict[Path, Clip]:
    """Clips by the file that their features go to."""
    one = Path(inputs) if isinstance(inputs, str | Path) else None
    if one and one.suffix.lower() == '.txt':
        folder = Path(root) if root else one.parent
        clips = [Clip(str(path), path) for path in _listed(one, folder)]
    elif root:
        raise ValueError(f'extract_features: root is for .txt lists, got {inputs!r}')
    else:
        clips = clips_of(inputs)
        folder = one if one and one.is_dir() else None
    files = {}
    for clip in clips:
        if not isinstance(clip.source, Path):
            raise TypeError(f'extract_features: files are taken, got {clip.name}')
        path = clip.source
        if folder and path.is_relative_to(folder):
            path = path.relative_to(folder)
        elif not folder:
            path = Path(path.name)
        name = str(path) if clip.source.is_dir() else str(path.with_suffix(''))
        file = out / map_file(name).removesuffix('.npy')
        file = file.with_name(f'{file.name}.{suffix}')
        if file.with_suffix('.json') == out / ABOUT:
            raise ValueError(f'{clip.name}: {ABOUT} holds the settings; give it another name')
        if file in files:
            raise ValueError(f'{files[file].name} and {clip.name} would both be {file}')
        files[file] = clip
    return files


def _listed(path: Path, root: Path) -> Iterator[Path]:
    """Paths of a list; what is behind one that exists are labels."""
    for line in filter(None, map(str.strip, read_text(path).splitlines())):
        words = line.split(' ')
        parts = (' '.join(words[:n]) for n in range(len(words), 0, -1))
        yield root / next((part for part in parts if (root / part).exists()), line)


def _is_there(file: Path, clip: Path) -> bool:
    """Whether a file holds the features of a clip; one that does not say of which does, too.

    Raises:
        ValueError: It cannot be read, or they are of another clip.
    """
    if not file.exists():
        return False
    try:
        if file.suffix == '.npz':
            with np.load(file, allow_pickle=False) as arrays:
                known = str(arrays['clip']) if 'clip' in arrays else ''
        else:
            known = read_json(file.with_suffix('.json')).get('clip', '')
    except Exception as error:  # zipfile and NumPy raise what they like of a damaged one
        raise ValueError(f'{file}: is there and cannot be read; delete it: {error}') from error
    if known and clip.exists() and known != clip_digest(clip):
        raise ValueError(f'{file}: the features of another clip are there; give another --out')
    return True


def _write_npz(file: Path, found: Features) -> None:
    write_arrays(file, **found._asdict())


def _write_npy(file: Path, found: Features) -> None:
    _write_times(file, found)
    write_array(file, found.features)


def _write_csv(file: Path, found: Features) -> None:
    _write_times(file, found)
    head = ','.join(f'f{i}' for i in range(found.features.shape[1]))
    rows = (','.join(f'{x:.9g}' for x in row) for row in found.features)
    write_text(file, '\n'.join([head, *rows]) + '\n')


def _write_times(file: Path, found: Features) -> None:
    rest = {name: value for name, value in found._asdict().items() if name != 'features'}
    rest |= {name: rest[name].tolist() for name in ('start', 'end')}
    write_text(file.with_suffix('.json'), json.dumps(rest) + '\n')


WRITERS: dict[str, Callable[[Path, Features], None]] = {
    'npz': _write_npz,
    'npy': _write_npy,
    'csv': _write_csv,
}
