"""From a config and a checkpoint to answers on clips::

    inferencer = MotionInferencer('emim_sthv2', 'work_dirs/emim_sthv2/epoch_50.pth')
    for prediction in inferencer('videos/', batch_size=4, out='answers.csv'):
        print(prediction.clip, prediction.name, prediction.probability, prediction.error)

It runs the config's own test pipeline: a clip has the scores that ``tools/test.py`` gives it.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from mmaction.apis import ActionRecogInferencer
from mmengine.config import Config
from mmengine.runner import autocast
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from mmaction_emim.evaluation.multi_label_report import check_threshold
from mmaction_emim.utils.command_line import explain
from mmaction_emim.utils.config_names import read_config
from mmaction_emim.utils.finite import check_finite

from .clip_loader import ClipLoader
from .clips import SECONDS, Clip, clips_of
from .complexity import without_downloads
from .labels import class_names
from .pictures import write_sheet, write_video
from .prediction import Guess, Prediction, write_csv, write_json
from .recognizer import init_recognizer


class MotionInferencer(ActionRecogInferencer):
    """:class:`mmaction.apis.ActionRecogInferencer` that tests as ``tools/test.py`` does.

    Upstream's tests one view of a clip, whatever the config says, through decord. The private
    methods that MMEngine's inferencer has its subclasses override are overridden.

    Args:
        model: A config file, the name of a config (:func:`.find_config`) or a config. The text of
            a config that a checkpoint holds is not taken, since to build it would run its code.
        weights: Checkpoint of this project, of MMAction2 or of EMIM's or UniFormer's authors, file
            or address. Default None: the network stays random, with a warning.
        device: Default None: an accelerator where there is one.
        labels: Class names, or a file of them: one a line, or Something-Something's JSON. Default
            None: those in the checkpoint, else of the ``label_map`` that the config's evaluator
            or the data folder has, else their numbers.
        show_progress: Whether calls show a bar, on stderr. Default True.
        short_side: Frames whose short side has more pixels are scaled down to so many before
            the pipeline's own crops: for networks whose config names no size, on clips larger than
            those that they were trained on. Default None: frames are the pipeline's alone.
        threshold: Probability from which on a class is there, in (0, 1), of a network for several
            labels. Default None: 0.5 for such a network.

    Attributes:
        model: The recognizer, in evaluation.
        cfg: Its config.
        names: Class names (classes,).
        averaging: How ``scores`` are made from a clip's views, ``average_clips`` of the config:
            ``'score'``: mean of raw scores, ``'prob'``: mean of the views' softmax, None: not.
        threshold: As given; 0.5 by default; None of a network for one label a clip.

    Raises:
        FileNotFoundError, ValueError: Model, weights or labels are not there or do not fit, or
            a threshold is given to a network whose head has no ``multi_class=True``.
        TypeError: The network has no classification head.
    """

    def __init__(
        self,
        model: str | Path | Config,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        labels: str | Path | Sequence[str] | None = None,
        show_progress: bool = True,
        short_side: int | None = None,
        threshold: float | None = None,
    ) -> None:
        if short_side is not None and (not isinstance(short_side, int) or short_side < 2):
            raise ValueError(
                f'MotionInferencer: short_side must be an integer of 2 or more or None, '
                f'got {short_side!r}'
            )
        cfg = read_config(model)
        head = cfg.model.get('cls_head') or {}
        if 'num_classes' not in head:
            raise TypeError('MotionInferencer: the config has no model.cls_head with num_classes')
        self.threshold = _threshold(threshold, bool(head.get('multi_class')))
        super().__init__(cfg, weights and str(weights), device)
        self.show_progress = show_progress
        self.short_side = short_side
        self.averaging = self.model.cls_head.average_clips
        names = class_names(
            self.cfg, self.model.cls_head.num_classes, labels, self.model.dataset_meta
        )
        self.names = names or [str(i) for i in range(self.model.cls_head.num_classes)]
        self._fp16 = bool((self.cfg.get('test_cfg') or {}).get('fp16'))
        self._one_by_one = bool((self.model.test_cfg or {}).get('max_testing_views'))

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 1,
        top_k: int = 5,
        out: str | Path | Sequence[str | Path] = (),
        seconds: float = SECONDS,
    ) -> list[Prediction]:
        """Predict clips, in order; one that cannot be read has an error, and the rest go on.

        Args:
            inputs: What :func:`.clips_of` takes: a file, a folder, which is searched, frames
                (T, H, W, 3) uint8 RGB, bytes, the number of a camera, an address, or a list.
            batch_size: Clips a forward pass. Default 1.
            top_k: How many classes each answer names. Default 5. With several labels a clip those
                that are there are all named.
            out: Files to write: ``.json`` and ``.csv``; ``.png``, frames, motion field and bars of
                up to 12 clips; ``.mp4`` and ``.gif``, one clip beside its bars.
            seconds: How long cameras and network streams are recorded. Default 4.

        Raises:
            ValueError: An argument is out of its range, or a folder holds no clip.
            TypeError: An input is none of these.
        """
        paths = [Path(path) for path in ([out] if isinstance(out, str | Path) else out)]
        for path in paths:
            if path.suffix.lower() not in WRITERS:
                raise ValueError(f'{path}: the suffix must be one of {", ".join(WRITERS)}')
        clips = clips_of(inputs, seconds)
        predictions = []
        columns = TextColumn('predict'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        console = Console(stderr=True)
        with Progress(*columns, console=console, disable=not self.show_progress) as progress:
            task = progress.add_task('', total=len(clips))
            for prediction in self.iterate(clips, batch_size, top_k):
                predictions.append(prediction)
                progress.advance(task)
        for path in paths:
            WRITERS[path.suffix.lower()](self, clips, predictions, path)
        return predictions

    def iterate(self, inputs: Any, batch_size: int = 1, top_k: int = 5) -> Iterator[Prediction]:
        """Predictions one after another, in order, as soon as their batch is done.

        Args:
            inputs: As in a call.
            batch_size: As in a call; clips whose frames differ in size are not put into one batch.
            top_k: As in a call.
        """
        if batch_size < 1 or top_k < 1:
            raise ValueError(
                f'batch_size and top_k must be 1 or more, got {batch_size} and {top_k}'
            )
        if self._one_by_one and batch_size > 1:
            raise ValueError(
                f'batch_size must be 1 where model.test_cfg has max_testing_views, got {batch_size}'
            )
        for batch in self.preprocess(clips_of(inputs), batch_size):
            yield from self.postprocess(self.forward(batch), top_k=top_k)

    def scores(self, clip: Any, sampled: bool = False) -> Tensor:
        """Raw scores of one clip, float32 (views, classes): before softmax, before averaging.

        :meth:`average` makes of them what a :class:`Prediction` has.

        Args:
            clip: As for :meth:`load`.
            sampled: As for :meth:`load`.
        """
        return self.view_scores([self.load(clip, sampled)])[0]

    def load(self, clip: Any, sampled: bool = False) -> Tensor:
        """One clip through the config's test pipeline: pixels as the network's preprocessor takes
        them, 0 to 255, before normalization.

        Args:
            clip: One of what a call takes, no list and no folder of videos.
            sampled: Whether its frames are one view's already, at the config's spacing, so that
                none is left out: the steps that sample are left out. Default False.

        Returns:
            (views, 3, T, H, W); for a Recognizer2D (views * T, 3, H, W). On the CPU.

        Raises:
            OSError, ValueError: It cannot be read. Transforms may raise other errors.
        """
        return self._loader.load(clip, sampled, self.short_side)

    def sample(self, total_frames: int) -> list[int]:
        """Which frames of a clip of so many the network sees, view after view."""
        return self._loader.sample(total_frames)

    def sampled_span(self) -> int | None:
        """Frames that one view of the config's sampling reaches over; None: the whole clip."""
        return self._loader.sampled_span()

    @torch.no_grad()
    def model_inputs(self, views: Sequence[Tensor]) -> Tensor:
        """Clips from :meth:`load`, of one size, normalized, on the network's device.

        Returns:
            (N, views, 3, T, H, W); for a Recognizer2D (N, views * T, 3, H, W), float32.
        """
        data = dict(inputs=list(views), data_samples=None)
        return self.model.data_preprocessor(data, False)['inputs']

    @torch.no_grad()
    def view_scores(self, views: Sequence[Tensor]) -> Tensor:
        """Raw scores of clips from :meth:`load`, of one size, in one forward pass.

        Returns:
            (N, views, classes), float32, on the CPU.
        """
        with autocast() if self._fp16 else nullcontext():
            features, options = self.model.extract_feat(self.model_inputs(views), test_mode=True)
            scores = self.model.cls_head(features, **options)
        return scores.float().cpu().unflatten(0, (len(views), -1))

    def average(self, view_scores: Tensor) -> tuple[Tensor, Tensor]:
        """(..., views, classes) raw scores -> (``scores``, ``probabilities``) of their clips.

        Scores are averaged as ``average_clips`` says (``averaging``), (..., classes), or
        (..., views, classes) where it says None. Probabilities, (..., classes), are the softmax
        of the mean raw score, whatever it says, or its sigmoid, of a network for several labels.
        """
        mean = view_scores.mean(-2)
        scores = {'score': mean, 'prob': view_scores.softmax(-1).mean(-2), None: view_scores}
        probabilities = mean.softmax(-1) if self.threshold is None else mean.sigmoid()
        return scores[self.averaging], probabilities

    def predict(self, name: str, view_scores: Tensor, top_k: int = 5) -> Prediction:
        """The answer of raw scores (views, classes), for a clip of this name.

        Raises:
            FloatingPointError: They are not finite.
        """
        check_finite(view_scores, name)
        scores, probabilities = self.average(view_scores)
        there = 0 if self.threshold is None else int((probabilities >= self.threshold).sum())
        best = probabilities.topk(min(max(top_k, there), len(self.names)))
        top = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        guesses = tuple(Guess(label, self.names[label], value) for label, value in top)
        labels = None if self.threshold is None else guesses[:there]
        return Prediction(name, guesses, scores.numpy(), probabilities.numpy(), labels=labels)

    def about(self) -> dict[str, Any]:
        """What a file of predictions says of all: config, ``average_clips``, classes, threshold."""
        function = 'softmax' if self.threshold is None else 'sigmoid'
        return dict(
            config=self.cfg.filename and Path(self.cfg.filename).name,
            average_clips=self.averaging,
            probabilities=f"{function} of the mean of the views' raw scores",
            classes=self.names,
            **({} if self.threshold is None else dict(threshold=self.threshold)),
        )

    def preprocess(
        self, inputs: list[Clip], batch_size: int = 1
    ) -> Iterator[list[tuple[str, Tensor | Exception]]]:
        """Batches of (name, what :meth:`load` gave or raised), each of clips of one size."""
        batch, views = [], []
        for clip in inputs:
            try:
                loaded = self.load(clip)
            except Exception as error:  # of any class, as transforms are anybody's
                batch.append((clip.name, error))
                continue
            if len(views) == batch_size or (views and views[0].shape != loaded.shape):
                yield batch
                batch, views = [], []
            batch.append((clip.name, loaded))
            views.append(loaded)
        if batch:
            yield batch

    def forward(
        self, inputs: list[tuple[str, Tensor | Exception]]
    ) -> list[tuple[str, Tensor | Exception]]:
        """(name, raw scores (views, classes) or error) of a batch from :meth:`preprocess`."""
        views = [x for _, x in inputs if isinstance(x, Tensor)]
        try:
            scores = iter(self.view_scores(views) if views else ())
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:  # too small for the network's strides
            scores = iter([error] * len(views))
        return [(name, next(scores) if isinstance(x, Tensor) else x) for name, x in inputs]

    def postprocess(
        self, preds: list[tuple[str, Tensor | Exception]], top_k: int = 5
    ) -> list[Prediction]:
        """The predictions of what :meth:`forward` gave."""
        return [self._answer(name, x, top_k) for name, x in preds]

    def _answer(self, name: str, given: Tensor | Exception, top_k: int) -> Prediction:
        if isinstance(given, Tensor):
            try:
                return self.predict(name, given, top_k)
            except FloatingPointError as error:
                given = error
        return Prediction(name, error=explain(given))

    def _init_model(self, cfg: Config, weights: str | None, device: str) -> nn.Module:
        cfg.model = without_downloads(cfg.model)
        return init_recognizer(cfg, weights, device)

    def _init_pipeline(self, cfg: Config) -> list:
        """The steps after the one that opens a video."""
        self._loader = ClipLoader(cfg)
        return self._loader.pipeline

    def _init_visualizer(self, cfg: Config) -> None:
        """None: MMEngine's would be kept by name for the whole process."""


def _threshold(given: float | None, several: bool) -> float | None:
    if given is None:
        return 0.5 if several else None
    if not several:
        raise ValueError(
            'threshold is for networks with several labels a clip (model.cls_head.multi_class=True)'
            f', got {given}'
        )
    check_threshold(given)
    return given


def _write_json(
    inferencer: MotionInferencer, clips: list[Clip], done: list[Prediction], path: Path
) -> None:
    write_json(done, path, inferencer.about())


def _write_csv(
    inferencer: MotionInferencer, clips: list[Clip], done: list[Prediction], path: Path
) -> None:
    write_csv(done, path)


WRITERS = {
    '.json': _write_json,
    '.csv': _write_csv,
    '.png': write_sheet,
    '.mp4': write_video,
    '.gif': write_video,
}
