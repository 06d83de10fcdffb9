"""When a learning curve first reaches a score (time to target, as MLCommons AlgoPerf judges: Dahl et al., 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alcove_scorer.curves import CurveRules, Point, axis_position


def find_target_on_curve(points: Sequence[Point], rules: CurveRules, target: float) -> float | None:
    """Seconds since the go at which the curve, as the scheme draws it, is first at least ``target``; None for never.

    ``points``: by time, one for each time. A straight line reaches it between two points, where it crosses on the
    scheme's time axis; a step only at a point. A target of no more than chance is reached at the go.
    """
    before, score = 0.0, rules.metric.chance
    if score >= target and points:
        return 0.0
    for point in points:
        if point.score >= target:
            if rules.curve == "step":
                return point.seconds
            start, end = axis_position(before, rules), axis_position(point.seconds, rules)
            crossing = start + (end - start) * (target - score) / (point.score - score)
            seconds = rules.t0 * math.expm1(crossing * math.log1p(rules.budget / rules.t0))
            return min(max(seconds, before), point.seconds)
        before, score = point.seconds, point.score
    return None


def find_target_at_snapshot(points: Sequence[Point], target: float) -> float | None:
    """Seconds since the go of the first prediction that scores at least ``target``; None where none does."""
    return next((point.seconds for point in points if point.score >= target), None)
