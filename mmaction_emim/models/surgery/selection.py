"""Which of a backbone's insertion points get a motion module."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from .insertion_point import InsertionPoint


def select(
    points: Sequence[InsertionPoint],
    mode: str,
    layers: str | Sequence[str] | None,
    stages: Sequence[int] | None,
    alternation: str,
) -> list[InsertionPoint]:
    """The points that ``MotionBackbone``'s arguments of the same names say.

    Raises:
        ValueError: They match nothing, or a layer that cannot serve.
    """
    candidates = [point for point in points if mode == 'insert' or point.replace]
    _check_stages(stages, candidates, mode)

    def wanted(point: InsertionPoint) -> bool:
        return stages is None or point.stage in stages

    if layers is not None:
        patterns = [layers] if isinstance(layers, str) else layers
        for pattern in patterns:
            _check_pattern(pattern, points, candidates)
        chosen = [p for p in candidates if any(fnmatchcase(p.name, each) for each in patterns)]
        return [point for point in chosen if wanted(point)] or _no_match(
            f'layers={layers!r} in stages={stages!r}', candidates
        )
    if not alternation or set(alternation) - {'L', 'G'}:
        raise ValueError(
            f"MotionBackbone: alternation must be made of 'L' and 'G', got {alternation!r}"
        )
    chosen, counted = [], {}
    for point in candidates:
        i = counted[point.group] = counted.get(point.group, -1) + 1
        if wanted(point) and alternation[i % len(alternation)] == 'L':
            chosen.append(point)
    return chosen or _no_match(f'stages={stages!r}, alternation={alternation!r}', candidates)


def _check_stages(
    stages: Sequence[int] | None, candidates: Sequence[InsertionPoint], mode: str
) -> None:
    there = sorted({point.stage for point in candidates})
    if stages is None:
        return
    if isinstance(stages, int | str) or not stages or not set(stages) <= set(there):
        raise ValueError(
            f'MotionBackbone: stages: got {stages!r}; accepted is a list of those where mode='
            f'{mode!r} finds layers: {there}'
        )


def _check_pattern(
    pattern: str, points: Sequence[InsertionPoint], candidates: Sequence[InsertionPoint]
) -> None:
    matched = [point for point in points if fnmatchcase(point.name, pattern)]
    if not matched:
        _no_match(f'layers={pattern!r}', candidates)
    for point in matched:
        if point not in candidates:
            reason = point.unsupported_reason or 'it has no attention'
            raise ValueError(
                f'MotionBackbone: layers={pattern!r}: {point.name} cannot be replaced, since '
                f'{reason}; those that can be: {", ".join(p.name for p in candidates)}'
            )


def _no_match(what: str, candidates: Sequence[InsertionPoint]) -> list[InsertionPoint]:
    there = ', '.join(f'{point.name} (stage {point.stage})' for point in candidates)
    raise ValueError(f'MotionBackbone: {what} matches no layer; there are: {there}')
