"""``leaderboard.html``: the table, what can be said of it, and its pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from alcove_scorer.board import Board, Row, missing_cause, order_text, shown_alc
from alcove_scorer.curves import Point, Rules, alc
from alcove_scorer.pictures import Line, critical_difference_svg, ranks_svg, teams_svg
from alcove_scorer.ranks import dataset_ranks
from alcove_scorer.report import data_uri, environment, number

MOMENTS = 48
"""Moments at which ranks over time are computed, evenly along the time axis."""
MAX_DIAGRAM = 30
"""Teams in the critical-difference diagram; with more its labels cannot be read."""
MAX_LINES = 100
"""Teams that are drawn in the other pictures, best first."""


def board_html(board: Board, updated_at: datetime) -> str:
    request = board.request
    order, value_name = order_text(request.method)
    return environment().get_template("leaderboard.html").render(
        competition=request.competition,
        phase=request.phase,
        method=request.method,
        generation=request.generation,
        updated=updated_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        order=order,
        value_name=value_name,
        datasets=request.datasets,
        problems=board.problems,
        rows=[_row(row, board) for row in board.rows],
        statistics=statistics(board),
        pictures=[(title, data_uri(svg), alt) for title, svg, alt in _pictures(board)],
    )  # fmt: skip


def _row(row: Row, board: Board) -> dict[str, object]:
    decimals = board.request.decimals
    cells = []
    for alias in board.request.datasets:
        score = shown_alc(row, alias, decimals)
        shown = "" if score is None else number(score, decimals)
        cells.append((shown, f"{row.ranks[alias]:g}", missing_cause(row, alias)))
    return {
        "rank": row.rank,
        "interval": "{:g}–{:g}".format(*row.interval),
        "team": row.submission.team,
        "submission": row.submission.submission,
        "value": number(row.value, 2),
        "cells": cells,
    }


def statistics(board: Board) -> str:
    """What the tests say, in words."""
    test, w, cd = board.friedman, board.kendall_w, board.cd
    if test is None or w is None or cd is None:
        return ""
    f = "∞" if math.isinf(test.f) else f"{test.f:.2f}"
    verdict = (
        "differ more than chance would make them" if test.f_p < 0.05 else "may well differ by chance alone"
    )
    return (
        f"Over these datasets the teams {verdict}: Friedman χ² = {test.chi2:.2f} (p = {test.p:.3g}), "
        f"Iman–Davenport F = {f} (p = {test.f_p:.3g}). The datasets' rankings agree with W = {w:.2f} "
        f"(Kendall; 1 is agreement). Mean ranks closer than {cd:.2f} cannot be told apart (Nemenyi, α = 0.05)."
    )


def _pictures(board: Board) -> list[tuple[str, bytes, str]]:
    settings, found = board.rules, []
    if settings is None:
        return []
    by_mean = sorted(board.rows, key=lambda row: row.mean_rank)
    if 2 <= len(by_mean) <= MAX_DIAGRAM and board.cd is not None:
        names, means = [row.submission.team for row in by_mean], [row.mean_rank for row in by_mean]
        svg = critical_difference_svg(names, means, board.cd)
        alt = "Teams along the axis of mean ranks; a bar joins those that cannot be told apart"
        found.append(("Critical difference", svg, alt))
    drawn = board.rows[:MAX_LINES]
    if len(drawn) >= 2:
        svg = ranks_svg(
            [row.submission.team for row in drawn],
            moments(settings),
            ranks_over_time(drawn, board.request.datasets, settings),
            settings,
        )
        found.append(("Ranks over time", svg, "Mean rank of each team, had the budget ended earlier"))
    for alias in board.request.datasets:
        lines = [Line(row.submission.team, rounded(row, alias, board.request.decimals)) for row in drawn]
        if any(line.points for line in lines):
            svg = teams_svg(lines, settings)
            found.append((alias, svg, f"Learning curves of the teams on {alias}"))
    return found


def rounded(row: Row, alias: str, decimals: int) -> tuple[Point, ...]:
    run = row.runs.get(alias)
    points = () if run is None or run.alc is None else run.points
    return tuple(Point(i, point.t, round(point.score, decimals)) for i, point in enumerate(points))


def moments(rules: Rules) -> list[float]:
    """Seconds since the go, evenly along the scheme's time axis, the budget last."""
    span = math.log1p(rules.budget / rules.t0)
    return [rules.t0 * math.expm1(span * i / MOMENTS) for i in range(1, MOMENTS)] + [rules.budget]


def ranks_over_time(rows: Sequence[Row], datasets: Sequence[str], rules: Rules) -> npt.NDArray[np.float64]:
    """Mean ranks (teams × moments), had every run ended at that moment: by the area up to there.

    A team without a prediction yet ranks last, as a run without one does.
    """
    columns = []
    for moment in moments(rules):
        areas = np.array([[_area(row, alias, moment, rules) for alias in datasets] for row in rows])
        columns.append(dataset_ranks(areas).mean(axis=1))
    return np.column_stack(columns)


def _area(row: Row, alias: str, moment: float, rules: Rules) -> float:
    run = row.runs.get(alias)
    if run is None or run.alc is None:
        return math.nan
    points = [Point(i, p.t, p.score) for i, p in enumerate(run.points) if p.t <= moment]
    return alc(points, replace(rules, budget=moment)) if points else math.nan
