"""Predictions as pictures: clips with the bars of their classes, and how they move."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.ops import MotionField
from mmaction_emim.visualization import (
    draw_motion_field,
    input_frames,
    record_motion_fields,
    write_pictures,
)
from mmaction_emim.visualization.answers import Answer, annotated_frames, draw_sheet

from .clips import Clip
from .prediction import Prediction

if TYPE_CHECKING:
    from .inferencer import MotionInferencer

ROWS = 12  # clips on a sheet
FRAMES = 600  # of a video; of a longer clip so many, spread over it
AT_ONCE = 32  # frames that are decoded together
CHANGE = 8.0  # grey levels that a token's pixels change by, on average, where it moves
FPS = 12.0  # where a clip does not say its own


def write_sheet(
    inferencer: 'MotionInferencer', clips: list[Clip], done: list[Prediction], path: Path
) -> None:
    """Write a PNG, a row a clip: frames, the motion field of EMIM's first layer, bars of classes.

    Raises:
        ValueError: No clip was read, or there are more than 12.
    """
    if len(clips) > ROWS:
        raise ValueError(f'{path}: a picture takes {ROWS} clips at most, got {len(clips)}')
    answers = []
    for clip, prediction in _read(clips, done, path):
        reader = clip.open()
        chosen = np.linspace(0, len(reader) - 1, 5).round().astype(int)
        motion = _motion(inferencer, clip)
        answers.append(_answer(clip, prediction, reader.get_batch(chosen), chosen, motion))
    moves = any(answer.motion is not None for answer in answers)
    caption = 'motion: where EMIM finds in the next frame what moves, by its affinity'
    write_pictures([draw_sheet(answers, caption if moves else '')], path)


def write_video(
    inferencer: 'MotionInferencer', clips: list[Clip], done: list[Prediction], path: Path
) -> None:
    """Write an MP4 or GIF of one clip beside the bars of its classes.

    A clip of more than 600 frames is shown in so many, spread over it.

    Raises:
        ValueError: The clip was not read, or there are several.
    """
    if len(clips) != 1:
        raise ValueError(f'{path}: a video is of one clip, got {len(clips)}; .png takes several')
    ((clip, prediction),) = _read(clips, done, path)
    reader = clip.open()
    count = min(len(reader), FRAMES)
    chosen = np.linspace(0, len(reader) - 1, count).round().astype(int)

    def frames() -> Iterator[np.ndarray]:
        for i in range(0, count, AT_ONCE):
            yield from reader.get_batch(chosen[i : i + AT_ONCE]).view(np.ndarray)

    answer = _answer(clip, prediction, frames(), chosen)
    fps = (reader.get_avg_fps() or FPS) * count / len(reader)
    write_pictures(annotated_frames(answer), path, fps)


def _read(clips: list[Clip], done: list[Prediction], path: Path) -> list[tuple[Clip, Prediction]]:
    pairs = [pair for pair in zip(clips, done, strict=True) if pair[1].error is None]
    if not pairs:
        raise ValueError(f'{path}: not written, no clip was read: {done[0].error}')
    return pairs


def _answer(
    clip: Clip,
    prediction: Prediction,
    frames: Sequence[np.ndarray] | Iterator[np.ndarray],
    chosen: np.ndarray,
    motion: np.ndarray | None = None,
) -> Answer:
    names = [guess.name for guess in prediction.top]
    probabilities = [guess.probability for guess in prediction.top]
    said = 1 if prediction.labels is None else len(prediction.labels)
    return Answer(Path(clip.name).name, frames, chosen.tolist(), names, probabilities, motion, said)


def _motion(inferencer: 'MotionInferencer', clip: Clip) -> np.ndarray | None:
    """The field between the middle frames of the first view; None in networks without EMIM.

    Tokens whose pixels stay as they are get no arrow: a match anywhere is as good for them.
    """
    if not any(isinstance(module, EMIMAttention) for module in inferencer.model.modules()):
        return None
    views = inferencer.load(clip)
    with record_motion_fields(inferencer.model) as fields:
        inferencer.view_scores([views])
    field = next(iter(fields.values()))
    (frames, *_) = input_frames(views, len(field.confidence))
    pair = field.confidence.shape[1] // 2
    first = pair * len(frames) // (field.confidence.shape[1] + 1)
    change = np.abs(np.float32(frames[first + 1]) - frames[first]).mean(-1)
    confidence = field.confidence[0, pair].numpy()
    change = cv2.resize(change, confidence.shape[::-1], interpolation=cv2.INTER_AREA)
    field = MotionField(field.displacement[0, [pair]], confidence[None] * (change > CHANGE))
    (picture,), _ = draw_motion_field(frames[first : first + 2], field)
    return picture
