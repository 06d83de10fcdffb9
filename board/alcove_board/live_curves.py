"""Small pictures of the learning curves of runs that go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alcove_api.board_documents import ActiveRun
from alcove_api.score_documents import CurvePoint

WIDTH, HEIGHT, MARGIN = 240, 64, 6
"""Of a picture, in units of its own."""


@dataclass(frozen=True)
class LiveRun:
    run: ActiveRun
    line: str
    """Points of a polyline."""
    end: tuple[float, float]
    """Where the newest point is."""
    zero: float
    """Height of the score 0."""
    decimals: int
    """That its scores are shown with."""


def draw_curves(running: Sequence[ActiveRun], budget_seconds: int | None) -> list[LiveRun]:
    """Of runs that have one: the score, from 0 (or the lowest, where that is less) to 1, against logarithmic time.

    Args:
        running: as the activity of a phase lists them.
        budget_seconds: where all time axes end; None where it is not disclosed: each at the run's newest point.
    """
    return [_draw(run, budget_seconds) for run in running if run.curve]


def _draw(run: ActiveRun, budget_seconds: int | None) -> LiveRun:
    points = run.curve
    low = min(0.0, *(point.score for point in points))
    high = max(1.0, *(point.score for point in points))
    longest = max(1.0, float(budget_seconds or 0), *(point.t for point in points))

    def height(score: float) -> float:
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (score - low) / (high - low), 1)

    def place(point: CurvePoint) -> tuple[float, float]:
        along = math.log1p(max(0.0, point.t)) / math.log1p(longest)
        return round(MARGIN + (WIDTH - 2 * MARGIN) * along, 1), height(point.score)

    places = [place(point) for point in points]
    line = " ".join(f"{x:g},{y:g}" for x, y in places)
    decimals = max(len(f"{point.score}".partition(".")[2]) for point in points)
    return LiveRun(run, line, places[-1], height(0.0), min(decimals, 4))
