"""One training of an arm on cached maps, and its tests."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim.datasets.feature_maps import FeatureMaps
from mmaction_emim.datasets.motion_shapes import CLASSES, MIRROR
from mmaction_emim.datasets.transforms import FrameOrder
from projects.frozen_features.arms import ARMS, build
from projects.frozen_features.data import DATA, FIT, HELD_OUT, SHAPES, TEST
from projects.frozen_features.encoders import SOURCES

ORDERS = ('forward', 'reversed', 'shuffled')
BATCH = 32
WARM_UP = 0.1  # of the steps
WEIGHT_DECAY = 0.05
MAX_NORM = 5.0
SMOOTHING = 0.1
MIRRORED = [CLASSES.index(MIRROR[name]) for name in CLASSES]


class Run(NamedTuple):
    """One training.

    Attributes:
        encoder: One of SOURCES.
        data: One of DATA.
        arm: One of ARMS.
        lr: Learning rate.
        seed: Decides initialization and the order of clips.
    """

    encoder: str
    data: str
    arm: str
    lr: float
    seed: int


class Clips(NamedTuple):
    """Cached clips of a list.

    Attributes:
        maps: (N, C, T, H, W), float16.
        labels: (N,).
        names: N, as in the list.
    """

    maps: Tensor
    labels: Tensor
    names: list[str]

    def reordered(self, order: str) -> 'Clips':
        """Each clip's frames in an order of :class:`.FrameOrder`."""
        transform, T = FrameOrder(order), self.maps.shape[2]
        maps = torch.empty_like(self.maps)
        for i, name in enumerate(self.names):
            clip = dict(frame_inds=np.arange(T), clip_len=T, filename=name)
            maps[i] = self.maps[i][:, transform.transform(clip)['frame_inds'].copy()]
        return self._replace(maps=maps)


def read_clips(folder: Path, ann_file: str) -> Clips:
    """All clips of a list of ``extract_maps``, or of a part of one.

    Args:
        folder: What ``extract_maps`` wrote.
        ann_file: The list in it.
    """
    rows = [line.rsplit(maxsplit=1) for line in (folder / ann_file).read_text().splitlines()]
    source = FeatureMaps(folder / ('val' if ann_file == TEST else 'train'))
    maps = np.stack([source.read(name)[0].swapaxes(0, 1) for name, _ in rows])
    labels = torch.tensor([int(label) for _, label in rows])
    return Clips(torch.from_numpy(maps), labels, [name for name, _ in rows])


class Cached(NamedTuple):
    """A data set seen by an encoder: clips to fit, to choose the rate by, and to test on."""

    fit: Clips
    held_out: Clips
    tests: dict[str, Clips]  # by ORDERS


def read(folder: Path) -> Cached:
    """What :func:`.cache` wrote, each channel with mean 0 and deviation 1 over the fitted clips."""
    fit, held_out, test = (read_clips(folder, name) for name in (FIT, HELD_OUT, TEST))
    values = fit.maps.float()
    mean = values.mean(dim=(0, 2, 3, 4))[:, None, None, None]
    std = values.std(dim=(0, 2, 3, 4))[:, None, None, None]
    for clips in (fit, held_out, test):
        for maps in clips.maps:  # one by one, for little memory
            maps.copy_((maps.float() - mean) / std)
    return Cached(fit, held_out, {order: test.reordered(order) for order in ORDERS})


def execute(run: Run, cached: Cached) -> dict[str, Any]:
    """Train and test.

    Returns:
        The run's fields, ``parameters``, ``steps``, ``seconds`` of the training, ``loss`` of its
        last epoch, ``held_out``, the share of clips that are right, and ``right``: for each of
        ORDERS a text of a digit a test clip, 1 where the answer is right.
    """
    data = DATA[run.data]
    torch.manual_seed(run.seed)
    config, parameters = build(ARMS[run.arm], SOURCES[run.encoder].channels, data.num_classes)
    model = MODELS.build(config)
    model.init_weights()
    widen(model.cls_head)
    start, cpu = time.perf_counter(), time.process_time()
    steps, loss = train(model, cached.fit, data.epochs, run.lr)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    held_out = scores(model, cached.held_out)
    guesses = {order: scores(model, clips).argmax(1) for order, clips in cached.tests.items()}
    labels = cached.tests['forward'].labels
    result = dict(
        **run._asdict(),
        parameters=parameters,
        steps=steps,
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu, 1),
        loss=round(loss, 4),
        held_out=[
            share(held_out.argmax(1) == cached.held_out.labels),
            round(nn.functional.cross_entropy(held_out, cached.held_out.labels).item(), 4),
        ],
        right={order: digits(guess == labels) for order, guess in guesses.items()},
    )
    if run.data == SHAPES:
        result['mirrored'] = share(guesses['reversed'] == torch.tensor(MIRRORED)[labels])
    return result


@torch.no_grad()
def widen(head: nn.Module) -> None:
    """Start a head's layers by their inputs: its own 0.02 is for tokens of many channels."""
    for name, parameter in head.named_parameters():
        if parameter.dim() > 1 and name != 'queries':
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)


def share(right: Tensor) -> float:
    """Of what is true."""
    return round(right.double().mean().item(), 4)


def digits(right: Tensor) -> str:
    """A digit each, 1 where it is true."""
    return ''.join(str(int(x)) for x in right)


def chosen_rate(tried: Sequence[dict[str, Any]]) -> float:
    """The rate of the run that is right on most held-out clips; of equals, the lowest loss."""
    return max(tried, key=lambda result: (result['held_out'][0], -result['held_out'][1]))['lr']


def train(model: nn.Module, clips: Clips, epochs: int, lr: float) -> tuple[int, float]:
    """AdamW after a warm-up, by a cosine to zero, in batches of BATCH; the last of an epoch is
    left out if it is smaller.

    Returns:
        Steps, and the mean loss of the last epoch.
    """
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [dict(params=matrices), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=WEIGHT_DECAY)
    batches = max(len(clips.labels) // BATCH, 1)
    steps = epochs * batches
    warm_up = max(int(WARM_UP * steps), 1)

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    for _ in range(epochs):
        losses = []
        for maps, labels in _batches(clips, torch.randperm(len(clips.labels))[: batches * BATCH]):
            loss = nn.functional.cross_entropy(
                forward(model, maps), labels, label_smoothing=SMOOTHING
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return steps, sum(losses) / len(losses)


@torch.no_grad()
def scores(model: nn.Module, clips: Clips) -> Tensor:
    """(N, classes), before softmax."""
    model.eval()
    batches = _batches(clips, torch.arange(len(clips.labels)))
    return torch.cat([forward(model, maps) for maps, _ in batches])


def forward(model: nn.Module, maps: Tensor) -> Tensor:
    """The recognizer's scores of maps (N, C, T, H, W), (N, classes)."""
    return model.cls_head(model.neck(model.backbone(maps))[0])


def _batches(clips: Clips, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for part in order.split(BATCH):
        yield clips.maps[part].float(), clips.labels[part]
