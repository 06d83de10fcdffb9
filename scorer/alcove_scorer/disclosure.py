"""What a phase lets people see of a curve: few points, few decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alcove_api.documents import CurvePoint, ScoredRun
from alcove_api.feedback import shown_places
from alcove_scorer.curves import Point, Rules, alc, standing


@dataclass(frozen=True)
class Shown:
    """Points and area that may be shown; the area is computed from these points alone, so that it betrays
    nothing of those held back.
    """

    points: tuple[Point, ...]
    alc: float | None


def shown(points: Iterable[Point], rules: Rules, decimals: int, most: int) -> Shown:
    """The points that :func:`alcove_api.feedback.shown_places` chooses, rounded to ``decimals``."""
    ordered = sorted(points, key=lambda p: (p.seconds, p.number))
    places = shown_places([point.seconds for point in ordered], most, rules.t0, rules.budget)
    kept = standing(replace(ordered[i], score=round(ordered[i].score, decimals)) for i in places)
    return Shown(kept, round(alc(kept, rules), decimals) if kept else None)


def shown_run(run: ScoredRun, rules: Rules, decimals: int, most: int) -> tuple[Point, ...]:
    """Of a run that was scored, on the whole test set; none where it has no score."""
    return shown(numbered(run.points if run.alc is not None else ()), rules, decimals, most).points


def numbered(curve: Iterable[CurvePoint]) -> tuple[Point, ...]:
    """Points of a document, in their order there."""
    return tuple(Point(number, point.t, point.score) for number, point in enumerate(curve))
