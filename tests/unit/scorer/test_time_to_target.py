"""The time at which a curve reaches a score, beside the curve itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_scorer.curves import CurveRules, Point, latest_per_time, resolve_rules
from alcove_scorer.time_to_target import find_target_at_snapshot, find_target_on_curve

SCHEMES = st.sampled_from([resolve_rules(1200), resolve_rules(1200, "autodl"), resolve_rules(30, t0=7)])
SCORES = st.floats(-1, 1)


@st.composite
def curves(draw: st.DrawFn) -> tuple[CurveRules, tuple[Point, ...]]:
    rules = draw(SCHEMES)
    pairs = draw(st.lists(st.tuples(st.floats(0, rules.budget), SCORES), max_size=8))
    return rules, latest_per_time(Point(i, t, score) for i, (t, score) in enumerate(pairs))


def height(points: tuple[Point, ...], rules: CurveRules, seconds: float) -> float:
    """The curve's score at a moment, worked out a second time: linear in ln(1 + t/t0), or the last value held."""
    path = [(0.0, rules.metric.chance), *((p.seconds, p.score) for p in points)]
    last = max(i for i, (t, _) in enumerate(path) if t <= seconds)
    if rules.curve == "step" or last == len(path) - 1:
        return path[last][1]
    (t1, s1), (t2, s2) = path[last : last + 2]
    start, at, end = (math.log1p(t / rules.t0) for t in (t1, seconds, t2))
    share = (at - start) / (end - start)
    return s1 + (s2 - s1) * share


@given(curves(), SCORES, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_curve_is_at_the_target_then_and_below_it_before(
    curve: tuple[CurveRules, tuple[Point, ...]], target: float, shares: list[float]
) -> None:
    rules, points = curve
    reached, at_snapshot = (
        find_target_on_curve(points, rules, target),
        find_target_at_snapshot(points, target),
    )
    if reached is None:
        assert at_snapshot is None
        assert all(point.score < target for point in points)
        return
    if reached > 0:
        assert height(points, rules, reached) >= target - 1e-6
        earlier = [height(points, rules, share * reached * (1 - 1e-9)) for share in shares]
        assert all(score < target + 1e-6 for score in earlier)
    if at_snapshot is not None:
        assert reached <= at_snapshot
        assert any((p.seconds, p.score >= target) == (at_snapshot, True) for p in points)


@given(curves(), SCORES, SCORES)
def test_a_higher_target_is_never_reached_earlier(
    curve: tuple[CurveRules, tuple[Point, ...]], one: float, other: float
) -> None:
    rules, points = curve
    low, high = (find_target_on_curve(points, rules, target) for target in sorted((one, other)))
    assert high is None or (low is not None and low <= high)


def test_a_line_crosses_on_the_logarithmic_axis_and_a_step_at_its_point() -> None:
    points = (Point(0, 15.0, 0.9),)
    # From 0.5 at x = 0 to 0.9 at ln 16: 0.7 is half way, at ln 4.
    assert find_target_on_curve(points, resolve_rules(100, t0=1), 0.7) == pytest.approx(3.0)
    assert find_target_on_curve(points, resolve_rules(100, t0=1, curve="step"), 0.7) == 15.0
    assert find_target_at_snapshot(points, 0.7) == 15.0
    assert find_target_on_curve(points, resolve_rules(100), 0.5) == 0.0
    assert find_target_on_curve(points, resolve_rules(100), 0.91) is None
    assert find_target_on_curve((), resolve_rules(100), 0.5) is None
