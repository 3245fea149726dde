"""Is the affinity a motion estimate? Its best offset against the true displacement, in tokens."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from torch import Tensor, nn

from mmaction_emim.datasets.motion_shapes import CLASSES, render_clip, trajectory
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.models.weights.checkpoint_file import read_checkpoint
from mmaction_emim.ops.reference import inside_frame

MOVES_AS_ONE = ('left', 'right', 'up', 'down', 'shake')  # where each object only translates
CLIPS = 20  # a class
FIRST_SEED = 10**6  # no clip of a generated data set has a seed like it: theirs are hashes
SIZE = 64
INTERVALS = (3, 6)  # frames from one sample to the next: as trained, and twice as fast
FRAMES = 8


class Reading(NamedTuple):
    """How well offsets tell displacements, over tokens on objects.

    Attributes:
        error: Mean end-point error in tokens.
        zero_error: Error of "no motion", i.e. the mean displacement.
        best_error: That of the true displacement, rounded to whole tokens.
        correlation: Pearson's, of both components pooled; NaN where the offsets never vary.
        tokens: How many were read.
    """

    error: float
    zero_error: float
    best_error: float
    correlation: float
    tokens: int


@torch.no_grad()
def best_offset(module: EMIMAttention, x: Tensor) -> Tensor:
    """The offset of the largest affinity, heads averaged.

    Args:
        module: Pairs of neighbouring frames.
        x: What it is called with, (B, T, H, W, C).

    Returns:
        (B, T - 1, H, W, 2), x and y in tokens, integers.
    """
    outside = ~inside_frame(*x.shape[2:4], module.window, x.device)
    affinity = module.affinity(x).mean(2)  # (B, T - 1, H, W, w * w)
    best = affinity.masked_fill(outside, float('-inf')).argmax(-1)
    r = module.window // 2
    return torch.stack([best % module.window - r, best // module.window - r], dim=-1)


def on_objects(label: int, seed: int, interval: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Which tokens show an object, and how far it goes to the next sample.

    Left out are objects that leave the frame on the way and come in on the other side.

    Args:
        label: A class of MOVES_AS_ONE.
        seed: Seed of the clip.
        interval: Frames between samples.
        grid: Tokens on a side.

    Returns:
        mask (FRAMES - 1, grid, grid), and displacement (FRAMES - 1, grid, grid, 2), x and y, in
        tokens.
    """
    path = trajectory(label, seed, FRAMES * interval, SIZE)
    where = np.unwrap(path.centre, period=SIZE, axis=0)[::interval]  # (FRAMES, 2), does not wrap
    step = np.diff(where, axis=0)  # in pixels
    mask = np.zeros((FRAMES - 1, grid, grid), bool)
    centres = (np.arange(grid) + 0.5) * SIZE / grid
    for t in range(FRAMES - 1):
        for position, radius in zip(
            path.positions()[t * interval] % SIZE, path.radius[t * interval], strict=True
        ):
            target = position + step[t]
            if ((target < 0) | (target >= SIZE)).any():
                continue
            distance = np.hypot(centres[None, :] - position[0], centres[:, None] - position[1])
            mask[t] |= distance <= max(0.7 * radius, SIZE / grid / 2)
    return mask, np.broadcast_to((step * grid / SIZE)[:, None, None], (*mask.shape, 2))


def compare(offsets: np.ndarray, truth: np.ndarray) -> Reading:
    """Offsets (N, 2) against true displacements (N, 2), in tokens."""

    def error(guess: np.ndarray) -> float:
        return round(float(np.linalg.norm(guess - truth, axis=1).mean()), 3)

    varies = offsets.std() > 0 and truth.std() > 0
    correlation = np.corrcoef(offsets.ravel(), truth.ravel())[0, 1] if varies else np.nan
    return Reading(
        error(offsets),
        error(np.zeros_like(truth)),
        error(np.round(truth)),
        round(float(correlation), 3),
        len(truth),
    )


def read_network(model: nn.Module, clips: int = CLIPS) -> dict[str, Reading]:
    """Every EMIM layer's reading at every interval of INTERVALS.

    Args:
        model: A recognizer that tests clips of 64 x 64 pixels.
        clips: How many clips of each class of MOVES_AS_ONE.

    Returns:
        ``'name of the layer, interval i'`` to its reading.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, EMIMAttention)}
    readings = {}
    for interval in INTERVALS:
        guesses = {name: [] for name in layers}
        truths = {name: [] for name in layers}
        for label in map(CLASSES.index, MOVES_AS_ONE):
            for seed in range(FIRST_SEED, FIRST_SEED + clips):
                seen = _inputs(model, layers, label, seed, interval)
                for name, x in seen.items():
                    mask, truth = on_objects(label, seed, interval, x.shape[2])
                    offsets = best_offset(layers[name], x)[0].cpu().numpy()
                    guesses[name].append(offsets[mask])
                    truths[name].append(truth[mask])
        for name in layers:
            reading = compare(np.concatenate(guesses[name]), np.concatenate(truths[name]))
            readings[f'{name}, interval {interval}'] = reading
    return readings


@torch.no_grad()
def _inputs(
    model: nn.Module, layers: dict[str, nn.Module], label: int, seed: int, interval: int
) -> dict[str, Tensor]:
    """What each layer is called with on a clip, by the layer's name."""
    frames = render_clip(label, seed, FRAMES * interval, SIZE)[::interval]
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2)  # (T, 3, H, W)
    if model.data_preprocessor.format_shape == 'NCTHW':
        clip = clip.transpose(0, 1)[None]
    data = dict(inputs=[clip], data_samples=[ActionDataSample()])
    seen = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0]))
        for name, layer in layers.items()
    ]
    model.eval().extract_feat(model.data_preprocessor(data)['inputs'], stage='backbone')
    for hook in hooks:
        hook.remove()
    return seen


def read(model: dict, checkpoint: Path, seed: int) -> dict[str, dict[str, dict]]:
    """Readings of a network as initialized (``'before'``) and as trained (``'after'``).

    Args:
        model: Config of the recognizer.
        checkpoint: The trained network's checkpoint.
        seed: Seed of the initialization.
    """
    torch.manual_seed(seed)
    built = MODELS.build(model)
    built.init_weights()
    stages = {'before': read_network(built)}
    weights = read_checkpoint(checkpoint)['state_dict']
    built.load_state_dict(weights)
    stages['after'] = read_network(built)
    return {
        when: {name: reading._asdict() for name, reading in readings.items()}
        for when, readings in stages.items()
    }
