"""Pictures of what hangs on a choice: the method, t0, the budget, and the target (docs/science.md).

``python -m bench.science`` draws them, with the leaderboard's own functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alcove_scorer.board_curves import budget_moments
from alcove_scorer.board_pictures import LeadingLine, draw_budget_ranks, draw_scale_ranks
from alcove_scorer.colours import MUTED, SERIES
from alcove_scorer.curves import CurveRules, Point, area_under_curve, axis_position, resolve_rules
from alcove_scorer.order_choices import find_places_by_method, list_scales
from alcove_scorer.pictures import HEIGHT, WIDTH, draw_time_axis
from alcove_scorer.ranks import dataset_ranks
from alcove_scorer.svg import open_canvas, write_svg
from alcove_scorer.time_to_target import find_target_at_snapshot, find_target_on_curve

Floats = npt.NDArray[np.float64]
BUDGET = 1200.0
DATASETS = 8
LEARNERS = ((0.72, 3.0), (0.78, 12.0), (0.83, 40.0), (0.87, 120.0), (0.9, 360.0))
"""Of each simulated team, the score that it comes near to and about how many seconds it takes."""
TARGET = 0.82


def draw_places_by_method(scores: Floats) -> bytes:
    """Places of the first by mean rank, by each method. ``scores``: participants × datasets."""
    places = find_places_by_method(scores)
    first = np.argsort(places[0].ranks, kind="stable")[: len(SERIES)]
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        xs = range(len(places))
        for colour, participant in zip(SERIES, first, strict=False):
            axes.plot(xs, [one.ranks[participant] for one in places], "o-", color=colour, linewidth=1.8)
        worst = max(int(one.ranks[i]) for one in places for i in first)
        axes.set_ylim(worst + 0.5, 0.5)
        axes.set_yticks(range(1, worst + 1))
        axes.set_xticks(xs, [one.heading.replace(" ", "\n", 1) for one in places])
        axes.set_xlim(-0.3, len(places) - 0.7)
        axes.set_ylabel("place")
        return write_svg(figure)


def simulate_curves() -> list[list[list[Point]]]:
    """Teams × datasets: six predictions of each run."""
    rng = np.random.default_rng(4)
    curves = []
    for top, pace in LEARNERS:
        of_team = []
        for _ in range(DATASETS):
            best, speed = top + rng.normal(0, 0.02), pace * rng.lognormal(0, 0.4)
            times = [t for t in speed * np.array([0.3, 0.6, 1.2, 2.4, 4.8, 9.6]) if t <= BUDGET]
            of_team.append(
                [
                    Point(i, float(t), float(0.5 + (best - 0.5) * (1 - np.exp(-2 * t / speed))))
                    for i, t in enumerate(times)
                ]
            )
        curves.append(of_team)
    return curves


def rank_curves(curves: Sequence[Sequence[Sequence[Point]]], rules: CurveRules) -> Floats:
    """Mean ranks of the teams by the area up to the budget of ``rules``; without a prediction by then, the last."""
    areas = [
        [
            area_under_curve(early, rules)
            if (early := [point for point in points if point.seconds <= rules.budget])
            else np.nan
            for points in of_team
        ]
        for of_team in curves
    ]
    mean: Floats = dataset_ranks(np.array(areas)).mean(axis=1)
    return mean


def draw_choices(scores: Floats) -> dict[str, bytes]:
    """``scores``: of a challenge, participants × datasets. The other pictures are of simulated teams."""
    curves, rules = simulate_curves(), resolve_rules(BUDGET)
    order = np.argsort(rank_curves(curves, rules))
    leading = [LeadingLine(str(i + 1), SERIES[i]) for i in range(len(curves))]
    scales, moments = list_scales(rules), budget_moments(rules)
    by_scale = np.column_stack([rank_curves(curves, resolve_rules(BUDGET, t0=t0)) for t0 in scales])
    by_moment = np.column_stack([rank_curves(curves, resolve_rules(moment)) for moment in moments])
    return {
        "places-by-method.svg": draw_places_by_method(scores),
        "ranks-by-t0.svg": draw_scale_ranks(by_scale[order], scales, rules.t0, leading),
        "ranks-by-budget.svg": draw_budget_ranks(by_moment[order], moments, rules, leading),
        "target.svg": draw_target(),
    }


def draw_target() -> bytes:
    """A curve with straight lines crosses the target before the prediction does that scores it."""
    rules = resolve_rules(BUDGET, curve="trapezoid")
    points = [Point(i, t, s) for i, (t, s) in enumerate(((2, 0.62), (15, 0.74), (200, 0.88), (800, 0.91)))]
    crossed, predicted = find_target_on_curve(points, rules, TARGET), find_target_at_snapshot(points, TARGET)
    assert crossed is not None
    assert predicted is not None
    with open_canvas(WIDTH, HEIGHT) as (figure, axes):
        xs = [0.0, *(axis_position(point.seconds, rules) for point in points), 1.0]
        ys = [rules.metric.chance, *(point.score for point in points), points[-1].score]
        axes.plot(xs, ys, color=SERIES[0], linewidth=2)
        axes.plot(xs[1:-1], ys[1:-1], "o", color=SERIES[0])
        axes.axhline(TARGET, color=SERIES[2], linestyle="--", linewidth=1)
        for colour, seconds, said, side in (
            (SERIES[1], crossed, f"curve: {crossed:.0f} s", "right"),
            (SERIES[3], predicted, f"prediction: {predicted:.0f} s", "left"),
        ):
            at = axis_position(seconds, rules)
            axes.plot([at, at], [0.5, TARGET], color=colour, linewidth=1.4)
            axes.annotate(
                said, (at, 0.53), (4 if side == "left" else -4, 0), textcoords="offset points", color=colour,
                weight="bold", ha=side,
            )  # fmt: skip
        axes.annotate(
            f"target {TARGET:g}", (0, TARGET), (4, 4), textcoords="offset points", color=MUTED, va="bottom"
        )
        axes.set_ylim(0.5, 1)
        draw_time_axis(axes, rules)
        axes.set_ylabel(rules.metric.name.replace("_", " "))
        return write_svg(figure)
