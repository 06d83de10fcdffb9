"""What a phase lets people see of a curve: few points, few decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alcove_api.feedback import shown_places
from alcove_api.score_documents import CurvePoint, ScoredRun
from alcove_scorer.curves import CurveRules, Point, area_under_curve, latest_per_time


@dataclass(frozen=True)
class ShownCurve:
    """Points and area that may be shown; the area is computed from these points alone, so that it betrays
    nothing of those held back.
    """

    points: tuple[Point, ...]
    alc: float | None
    chosen: int
    """Scores that were shown so far: of several at the same time, ``points`` has the last."""


def limit_curve(points: Iterable[Point], rules: CurveRules, decimals: int, most: int) -> ShownCurve:
    """The points that :func:`alcove_api.feedback.shown_places` chooses, rounded to ``decimals``."""
    ordered = sorted(points, key=lambda p: (p.seconds, p.number))
    places = shown_places([point.seconds for point in ordered], most, rules.t0, rules.budget)
    shown = latest_per_time(replace(ordered[i], score=round(ordered[i].score, decimals)) for i in places)
    return ShownCurve(shown, round(area_under_curve(shown, rules), decimals) if shown else None, len(places))


def limit_run(run: ScoredRun, rules: CurveRules, decimals: int, most: int) -> tuple[Point, ...]:
    """Of a run that was scored, on the part of the test set that is shown; none where it has no score.

    ``most``: points of a run, of which earlier attempts may have shown some.
    """
    left = most - run.points_shown_before
    return limit_curve(number_points(run.points_to_show()), rules, decimals, left).points


def number_points(curve: Iterable[CurvePoint]) -> tuple[Point, ...]:
    """Points of a document, in their order there."""
    return tuple(Point(number, point.t, point.score) for number, point in enumerate(curve))
