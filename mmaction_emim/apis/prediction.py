"""What a network says of a clip, and tables of it as JSON and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmaction_emim.utils.files import write_text


class Guess(NamedTuple):
    """A class and how probable it is, 0 to 1."""

    label: int
    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer on one clip.

    Attributes:
        clip: Name of the clip: its path or address, ``camera 0``, ``array 2``.
        top: The most probable classes, best first; empty after an error.
        scores: float32 (classes,): what ``tools/test.py --dump`` has for this clip, averaged over
            its views as ``average_clips`` of the config says; (views, classes) where it says None.
        probabilities: float32 (classes,), their sum 1: softmax of the views' mean raw score,
            whatever ``average_clips`` says. Of a network for several labels its sigmoid, each 0 to
            1 by itself.
        error: Why there is no answer, one sentence; None where there is one.
        labels: The classes at or above the threshold, best first, of a network for several labels;
            all of them are in ``top``. None of others.
    """

    clip: str
    top: tuple[Guess, ...] = ()
    scores: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    error: str | None = None
    labels: tuple[Guess, ...] | None = None

    @property
    def answer(self) -> str | None:
        """The name, or with several labels the names, ``'(none)'`` without any; None: an error."""
        if self.labels is None:
            return self.name
        return ', '.join(guess.name for guess in self.labels) or '(none)'

    @property
    def label(self) -> int | None:
        """The most probable class; None after an error."""
        return self.top[0].label if self.top else None

    @property
    def name(self) -> str | None:
        """Its name, or its number where names are unknown."""
        return self.top[0].name if self.top else None

    @property
    def probability(self) -> float | None:
        """Its probability."""
        return self.top[0].probability if self.top else None

    def as_dict(self) -> dict[str, Any]:
        """``clip``, ``top``, ``scores`` and, if there may be several, ``labels`` as plain values.

        After an error ``clip`` and ``error``.
        """
        if self.error is not None:
            return dict(clip=self.clip, error=self.error)
        top = [guess._asdict() for guess in self.top]
        said = dict(clip=self.clip, top=top, scores=self.scores.tolist())
        if self.labels is not None:
            said['labels'] = [guess.label for guess in self.labels]
        return said


def write_json(predictions: Sequence[Prediction], path: Path, about: dict[str, Any]) -> None:
    """Write ``{**about, "predictions": [...]}``, each as :meth:`.Prediction.as_dict` has it."""
    content = {**about, 'predictions': [one.as_dict() for one in predictions]}
    write_text(Path(path), _as_utf8(json.dumps(content, indent=1, ensure_ascii=False)) + '\n')


def write_csv(predictions: Sequence[Prediction], path: Path) -> None:
    """Write a row a clip and rank: ``clip,rank,label,name,probability,error``.

    A clip that could not be read has one row, with its error alone. Of a network for several labels
    a column ``there`` follows, ``yes`` or ``no``.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator='\n')
    header = ['clip', 'rank', 'label', 'name', 'probability', 'error']
    several = any(one.labels is not None for one in predictions)
    rows.writerow([*header, 'there'] if several else header)
    for one in predictions:
        for rank, guess in enumerate(one.top, start=1):
            probability = f'{guess.probability:.6f}'
            row = [one.clip, rank, guess.label, guess.name, probability, '']
            rows.writerow([*row, 'yes' if guess in one.labels else 'no'] if several else row)
        if one.error is not None:
            row = [one.clip, '', '', '', '', one.error]
            rows.writerow([*row, ''] if several else row)
    write_text(Path(path), _as_utf8(table.getvalue()))


def _as_utf8(text: str) -> str:
    """The text with ``\\udcXX`` for bytes of file names that are no UTF-8, as JSON has them too."""
    return text.encode('utf-8', 'backslashreplace').decode()
