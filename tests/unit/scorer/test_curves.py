from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_scorer.curves import (
    CurveRules,
    Point,
    area_under_curve,
    axis_position,
    counted_seconds,
    latest_per_time,
    resolve_rules,
)
from alcove_scorer.disclosure import limit_curve
from alcove_scorer.errors import InputError

HACKATHON = resolve_rules(1200, "hackathon")
AUTODL = resolve_rules(1200, "autodl")
SCHEMES = pytest.mark.parametrize("scheme", [HACKATHON, AUTODL], ids=lambda r: r.scheme)
curves = st.lists(st.tuples(st.floats(0, 1200), st.floats(-1, 1)).map(lambda pair: pair), max_size=12).map(
    lambda pairs: latest_per_time(Point(i, t, s) for i, (t, s) in enumerate(pairs))
)


def x(t: float, t0: float, budget: float) -> float:
    return math.log(1 + t / t0) / math.log(1 + budget / t0)


def test_hackathon_by_hand() -> None:
    points = latest_per_time([Point(1, 9, 0.7), Point(2, 99, 0.9)])
    got = area_under_curve(points, resolve_rules(999, "hackathon"))
    # x = 1/3 and 2/3 with t0 = 1 s and T = 999 s
    assert got == pytest.approx((0.5 + 0.7) / 2 / 3 + (0.7 + 0.9) / 2 / 3 + 0.9 / 3)


def test_autodl_by_hand() -> None:
    got = area_under_curve(latest_per_time([Point(1, 60, 0.4), Point(2, 180, -0.2)]), AUTODL)
    first, second = math.log(2) / math.log(21), math.log(4) / math.log(21)
    assert got == pytest.approx(0.4 * (second - first) - 0.2 * (1 - second))


@given(curves)
def test_trapezoid_is_numpys(points: tuple[Point, ...]) -> None:
    xs = [0, *(x(p.seconds, 1, 1200) for p in points), 1]
    ys = [0.5, *(p.score for p in points), points[-1].score if points else 0.5]
    assert area_under_curve(points, HACKATHON) == pytest.approx(np.trapezoid(ys, xs), abs=1e-9)


@given(curves)
def test_step_is_the_integral_of_a_piecewise_constant_function(points: tuple[Point, ...]) -> None:
    xs = np.array([0, *(x(p.seconds, 60, 1200) for p in points), 1])
    ys = np.array([0, *(p.score for p in points)])
    assert area_under_curve(points, AUTODL) == pytest.approx(float(np.diff(xs) @ ys), abs=1e-9)


@SCHEMES
@given(points=curves, better=st.floats(0, 1), which=st.integers(0, 11))
def test_a_better_snapshot_never_lowers_the_area(
    scheme: CurveRules, points: tuple[Point, ...], better: float, which: int
) -> None:
    if points:
        i = which % len(points)
        raised = Point(points[i].number, points[i].seconds, points[i].score + better)
        assert (
            area_under_curve((*points[:i], raised, *points[i + 1 :]), scheme)
            >= area_under_curve(points, scheme) - 1e-12
        )


@SCHEMES
@given(points=curves)
def test_the_area_lies_within_the_scores(scheme: CurveRules, points: tuple[Point, ...]) -> None:
    scores = [scheme.metric.chance, *(p.score for p in points)]
    assert min(scores) - 1e-9 <= area_under_curve(points, scheme) <= max(scores) + 1e-9


@SCHEMES
@given(points=curves, seconds=st.floats(0, 1200))
def test_splitting_a_constant_segment_changes_nothing(
    scheme: CurveRules, points: tuple[Point, ...], seconds: float
) -> None:
    before = [p for p in points if p.seconds <= seconds]
    if not before or before[-1].seconds == seconds:
        return
    after = [p for p in points if p.seconds > seconds]
    if scheme.curve == "trapezoid" and after:
        score = before[-1].score
        after = [Point(p.number, p.seconds, score) if p is after[0] else p for p in after]
    split = Point(99, seconds, before[-1].score)
    assert area_under_curve((*before, split, *after), scheme) == pytest.approx(
        area_under_curve((*before, *after), scheme), abs=1e-9
    )


@SCHEMES
def test_without_a_point_the_curve_stays_at_its_start(scheme: CurveRules) -> None:
    assert area_under_curve((), scheme) == scheme.metric.chance


def test_of_equal_times_the_later_number_stands_whatever_the_order() -> None:
    points = [Point(2, 5.0, 0.9), Point(1, 5.0, 0.1), Point(3, 1.0, 0.3)]
    assert (
        latest_per_time(points)
        == latest_per_time(reversed(points))
        == (Point(3, 1.0, 0.3), Point(2, 5.0, 0.9))
    )


def test_the_axis_runs_from_0_to_1() -> None:
    assert (axis_position(0, AUTODL), axis_position(1200, AUTODL)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("t_ns", "seen_ns", "counted"),
    [(99, 90, 99e-9), (100, 90, 1e-7), (101, 90, 1e-7), (101, 100, 1e-7), (102, 101, None)],
)
def test_seen_in_time_but_copied_later_counts_at_the_budget(
    t_ns: int, seen_ns: int, counted: float | None
) -> None:
    assert counted_seconds(t_ns, seen_ns, 1e-7) == counted


def test_what_counts_is_never_later_than_a_budget_that_is_no_whole_number_of_nanoseconds() -> None:
    assert counted_seconds(666_666_667, 0, 2 / 3) == 2 / 3


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"budget": 0}, "budget"),
        ({"budget": math.nan}, "budget"),
        ({"budget": 1, "t0": -1}, "t0"),
        ({"budget": 1, "scheme": "x"}, "hackathon, autodl"),
    ],
)
def test_impossible_settings_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_rules(**kwargs)  # type: ignore[arg-type]


@given(curves, st.integers(1, 8), st.integers(0, 4))
def test_shown_is_bounded_rounded_and_never_taken_back(
    points: tuple[Point, ...], most: int, decimals: int
) -> None:
    full = limit_curve(points, HACKATHON, decimals, most)
    assert len(full.points) <= most
    assert all(p.score == round(p.score, decimals) for p in full.points)
    ever = {
        p.number
        for i in range(len(points) + 1)
        for p in limit_curve(points[:i], HACKATHON, decimals, most).points
    }
    assert ever == {p.number for p in full.points}


def test_the_shown_area_says_nothing_of_what_is_held_back() -> None:
    points = [Point(i, float(i), 0.5 + i / 100) for i in range(1, 30)]
    held_back = {p.number for p in points} - {p.number for p in limit_curve(points, HACKATHON, 3, 4).points}
    changed = [Point(p.number, p.seconds, 0.0) if p.number in held_back else p for p in points]
    assert limit_curve(points, HACKATHON, 3, 4) == limit_curve(changed, HACKATHON, 3, 4)
