"""Learning curves on a logarithmic time axis, and the area under them (docs/design.md, "Scoring")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alcove_api.schemes import HACKATHON, SCHEMES, CurveShape
from alcove_scorer.errors import InputError
from alcove_scorer.metric_registry import find_metric
from alcove_scorer.metrics import Metric

NANO = 1_000_000_000
SHORTEST, LONGEST = 1e-9, 1e9
"""Seconds that a budget or a t0 has."""


@dataclass(frozen=True)
class CurveRules:
    """A scheme with its settings resolved: all that a curve depends on beside its points.

    ``budget`` and ``t0`` are in seconds.
    """

    scheme: str
    metric: Metric
    t0: float
    curve: CurveShape
    budget: float


def resolve_rules(
    budget: float,
    scheme: str = HACKATHON.name,
    metric_name: str | None = None,
    t0: float | None = None,
    curve: CurveShape | None = None,
) -> CurveRules:
    """Fills in the scheme's defaults. Raises InputError for a value that cannot be."""
    if scheme not in SCHEMES:
        raise InputError(f"scheme {scheme!r}: expected one of: {', '.join(SCHEMES)}")
    defaults = SCHEMES[scheme]
    scale = defaults.t0 if t0 is None else t0
    # Between these bounds the time axis can be computed whatever the other one is.
    for name, value in (("budget", budget), ("t0", scale)):
        if not SHORTEST <= value <= LONGEST:
            raise InputError(
                f"{name} {value:g}: expected a positive number of seconds, from {SHORTEST:g} to {LONGEST:g}"
            )
    chosen = find_metric(defaults.metric if metric_name is None else metric_name)
    return CurveRules(scheme, chosen, scale, curve or defaults.curve, budget)


@dataclass(frozen=True)
class Point:
    """A valid snapshot: ``number`` orders snapshots of equal time, ``seconds`` is counted from the go."""

    number: int
    seconds: float
    score: float


def counted_seconds(t_ns: int, seen_ns: int, budget: float) -> float | None:
    """When a snapshot counts, in seconds since the go; None where it is late.

    ``t_ns`` is when the recorder held its last byte, ``seen_ns`` when it first saw the file, nanoseconds since the go.
    """
    if t_ns <= round(budget * NANO):
        return min(t_ns / NANO, budget)
    return budget if seen_ns <= round(budget * NANO) else None


def axis_position(seconds: float, rules: CurveRules) -> float:
    """x(t) = ln(1 + t/t0) / ln(1 + T/t0): 0 at the go, 1 at the budget T.

    The time axis of AutoDL (Liu et al., Winning solutions and post-challenge analyses of the ChaLearn AutoDL challenge
    2019, 2021).
    """
    return math.log1p(seconds / rules.t0) / math.log1p(rules.budget / rules.t0)


def latest_per_time(points: Iterable[Point]) -> tuple[Point, ...]:
    """Points by time; of equal times only the one with the highest number stands."""
    latest = {point.seconds: point for point in sorted(points, key=lambda p: (p.seconds, p.number))}
    return tuple(latest.values())


def area_under_curve(points: Sequence[Point], rules: CurveRules) -> float:
    """Area under the learning curve of points by time, one for each time, none later than the budget.

    The curve starts at (0, the metric's chance score), goes in straight lines (``trapezoid``) or steps
    (``step``) and holds its last value to x = 1; without a point it stays at its start value.
    With steps it is the ALC of AutoDL (Liu et al., as in :func:`axis_position`); straight lines are defined here.
    """
    xs = [0.0, *(axis_position(point.seconds, rules) for point in points), 1.0]
    scores = [point.score for point in points]
    ys = [rules.metric.chance, *scores, scores[-1] if scores else rules.metric.chance]
    pairs = range(len(xs) - 1)
    if rules.curve == "step":
        return math.fsum((xs[i + 1] - xs[i]) * ys[i] for i in pairs)
    return math.fsum((xs[i + 1] - xs[i]) * (ys[i] + ys[i + 1]) / 2 for i in pairs)
