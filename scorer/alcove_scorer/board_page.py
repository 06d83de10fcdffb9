"""``leaderboard.html``: the table, what can be said of it, and its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from alcove_api.board_documents import BoardHistory, PastRanks
from alcove_scorer.board import (
    Board,
    BoardRow,
    describe_excluded,
    describe_order,
    missing_cause,
    rounded_alc,
    rounded_spread,
    write_score,
    write_seconds,
)
from alcove_scorer.board_curves import budget_moments, ranks_over_budget
from alcove_scorer.board_pictures import (
    LeadingLine,
    draw_budget_ranks,
    draw_critical_difference,
    draw_differences,
    draw_history,
    draw_intervals,
    draw_profiles,
    draw_scale_ranks,
)
from alcove_scorer.board_times import FASTEST
from alcove_scorer.colours import SERIES
from alcove_scorer.differences import ROPE, Difference, compare_with_first
from alcove_scorer.history import ranks_on_boards
from alcove_scorer.order_choices import (
    explain_left_out,
    find_places_by_method,
    list_scales,
    ranks_over_scales,
)
from alcove_scorer.pages import format_number, render_page
from alcove_scorer.peer_curves import board_points
from alcove_scorer.performance_profile import TAU_MAX, time_ratios
from alcove_scorer.pictures import TeamCurve, draw_teams
from alcove_scorer.rank_intervals import describe_places
from alcove_scorer.significance import Friedman
from alcove_scorer.svg import inline_svg
from alcove_scorer.team_colours import LEADERS, assign_colours, read_colours

MAX_NAMED = 30
"""Teams in pictures that name them; with more the labels could not be read."""
MAX_LINES = 50
"""Teams in the other pictures."""


@dataclass(frozen=True)
class RankedName:
    """One participant's place, and the interval of it where that was computed."""

    name: str
    rank: int
    mean_rank: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PagePicture:
    title: str
    svg: Markup
    caption: str
    wide: bool = False


def board_html(board: Board, updated_at: datetime, history: BoardHistory | None = None) -> str:
    request = board.request
    leaders = [row.submission.team for row in board.rows[:LEADERS]]
    colours = assign_colours(leaders, read_colours(history or BoardHistory()))
    leading = [LeadingLine(row.place, SERIES[colours[row.submission.team]]) for row in board.rows[:LEADERS]]
    order, value_name = describe_order(request.method)
    return render_page(
        "leaderboard.html",
        competition=request.title or request.competition,
        phase=request.phase,
        method=request.method,
        generation=request.generation,
        updated=updated_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        order=order,
        value_name=value_name,
        datasets=request.datasets,
        problems=[*board.problems, *describe_excluded(request)],
        rows=[_row(row, board) for row in board.rows],
        baselines=[
            (row.name, [write_score(row, alias, request.decimals) for alias in request.datasets])
            for row in board.baselines
        ],
        repeats=request.repeats,
        targets=[
            (alias, f"{request.targets[alias]:g}") for alias in request.datasets if alias in request.targets
        ],
        coloured=[
            (row.place, row.team_name, colours[row.submission.team] + 1) for row in board.rows[:LEADERS]
        ],
        lines=min(len(board.rows), MAX_LINES),
        places=describe_places(
            [row.team_name for row in board.rows],
            np.array([row.interval for row in board.rows]),
            len(request.datasets),
        ),
        statistics=describe_tests(board.friedman, board.kendall_w, board.cd),
        sure=[
            *draw_certainty([_standing(row) for row in board.rows], board.cd),
            *_compare_first(board),
            *_profiles(board, leading),
        ],
        methods=tabulate_methods(
            [row.team_name for row in board.rows], _exact_scores(board), range(len(board.rows))
        ),
        course=_course(board, updated_at, history or BoardHistory(), leading),
        curves=_curves(board, {team: SERIES[colours[team]] for team in leaders}),
    )


def _row(row: BoardRow, board: Board) -> dict[str, object]:
    decimals = board.request.decimals
    cells = []
    for alias in board.request.datasets:
        run = row.runs.get(alias)
        shown, rank, kind = format_cell(run.alc if run else None, row.ranks[alias], decimals)
        spread = rounded_spread(row, alias, decimals)
        if row.seconds and shown:
            shown, spread = write_seconds(row.seconds[alias]), None
        cell = (shown if spread is None else f"{shown} ± {format_number(spread, decimals)}", rank, kind)
        cells.append((*cell, missing_cause(row, alias)))
    return {
        "place": row.place,
        "tied": row.tied,
        "interval": format_interval(row.interval),
        "team": row.team_name,
        "namespace": row.submission.team,
        "submission": row.submission.submission,
        "value": format_number(row.value, 4 if row.seconds else 2),
        "cells": cells,
    }


def format_cell(score: float | None, rank: float, decimals: int) -> tuple[str, str, str]:
    """Of a table: the score, empty where there is none, the rank, and the style's class."""
    shown = "" if score is None else format_number(score, decimals)
    return shown, f"{rank:g}", "x" if score is None else "neg" if score < 0 else ""


def format_interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def _standing(row: BoardRow) -> RankedName:
    return RankedName(row.team_name, row.rank, row.mean_rank, row.interval)


def describe_tests(
    test: Friedman | None, w: float | None, cd: float | None, alpha: float = 0.05, who: str = "teams"
) -> str:
    """What the tests say, in words."""
    if test is None or w is None or cd is None:
        return ""
    f = (
        f"= {test.f:.2f} (p {_p(test.f_p)})"
        if math.isfinite(test.f)
        else "has no bound, since all rank them alike"
    )
    verdict = (
        "differ more than chance would make them" if test.f_p < alpha else "may well differ by chance alone"
    )
    return (
        f"Over these datasets the {who} {verdict}: Friedman χ² = {test.chi2:.2f} (p {_p(test.p)}), "
        f"Iman–Davenport F {f}. The datasets' rankings agree with W = {w:.2f} "
        f"(Kendall; 1 is agreement). Mean ranks closer than {cd:.2f} cannot be told apart (Nemenyi, α = {alpha:g})."
    )


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"


def _leading(drawn: int, rows: Sequence[object], who: str = "teams") -> str:
    return f" The leading {drawn} of {len(rows)} {who} are drawn." if drawn < len(rows) else ""


def draw_certainty(rows: Sequence[RankedName], cd: float | None, who: str = "teams") -> list[PagePicture]:
    """``rows``: best first. ``cd``: the critical difference of their mean ranks, None where there is none."""
    found = list[PagePicture]()
    if len(rows) < 2:
        return found
    drawn = rows[:MAX_NAMED]
    intervals = [row.interval for row in drawn if row.interval is not None]
    if intervals:
        svg = draw_intervals([row.name for row in drawn], [row.rank for row in drawn], intervals)
        caption = "Dot: the rank. Bar: what it could be, at 95 % confidence."
        found.append(_picture("Rank intervals", svg, caption + _leading(len(drawn), rows, who)))
    if cd is not None:
        by_mean = sorted(rows, key=lambda row: row.mean_rank)[:MAX_NAMED]
        names, means = [row.name for row in by_mean], [row.mean_rank for row in by_mean]
        svg = draw_critical_difference(names, means, cd, len(rows))
        caption = f"{who.capitalize()} at their mean ranks; a bar joins those that these datasets cannot tell apart."
        caption += _leading(len(by_mean), rows, who).replace(
            "drawn.", f"drawn; the difference is for all {len(rows)}."
        )
        found.append(_picture("Critical difference", svg, caption, wide=True))
    return found


def _exact_scores(board: Board) -> npt.NDArray[np.float64]:
    runs = [[row.runs.get(alias) for alias in board.request.datasets] for row in board.rows]
    return np.array(
        [[math.nan if run is None or run.alc is None else run.alc for run in row] for row in runs], np.float64
    )


def _compare_first(board: Board) -> list[PagePicture]:
    """Of scores as they are shown, so that no probability tells more of them."""
    aliases, decimals = board.request.datasets, board.request.decimals
    shown = [[rounded_alc(row, alias, decimals) for alias in aliases] for row in board.rows]
    if not shown:
        return []
    scores = np.array([[math.nan if alc is None else alc for alc in row] for row in shown])
    differences = compare_with_first(scores, range(len(shown)))
    return draw_comparison([row.team_name for row in board.rows], differences, ROPE)


def _profiles(board: Board, leading: Sequence[LeadingLine]) -> list[PagePicture]:
    """Of the leading teams, where the phase ranks by them."""
    if not board.rows or board.request.method != "performance-profile":
        return []
    times = [[row.seconds[alias] for alias in board.request.datasets] for row in board.rows]
    seconds = np.array([[math.nan if s is None else max(s, FASTEST) for s in row] for row in times])
    svg = draw_profiles(time_ratios(seconds)[: len(leading)], TAU_MAX, leading)
    return [_picture("Performance profiles", svg, describe_profiles(TAU_MAX))]


def describe_profiles(tau_max: float) -> str:
    return (
        "Share of datasets on which each is within a factor τ of the fastest. The area under the line, from 1 to "
        f"{tau_max:g}, is what they are ordered by."
    )


def tabulate_methods(
    names: Sequence[str], scores: npt.NDArray[np.float64], order: Sequence[int]
) -> dict[str, object] | None:
    """Places of the leading participants by each method; None where there is one participant."""
    if len(names) < 2:
        return None
    found = find_places_by_method(scores)
    return {
        "headings": [places.heading for places in found],
        "rows": [(names[i], [int(places.ranks[i]) for places in found]) for i in order[:MAX_NAMED]],
        "more": max(0, len(names) - MAX_NAMED),
        "left_out": list(explain_left_out(scores).values()),
    }


def draw_comparison(
    names: Sequence[str], differences: Sequence[Difference], rope: float
) -> list[PagePicture]:
    """``names``: of all participants, as the differences number them."""
    if not differences:
        return []
    svg = draw_differences(
        [names[d.participant] for d in differences], [(d.better, d.equal, d.worse) for d in differences]
    )
    certain = sum(d.holm_p < 0.05 for d in differences)
    caption = (
        f"The first against each of the others: better or worse by more than {rope:g}, or equal for practical "
        "purposes (Bayesian signed-rank test). The bars are not corrected for the choice of the first by the same "
        "scores, which makes it look better than it is. By Wilcoxon's test with Holm's correction for all pairs, "
        f"{certain} of these {len(differences)} differ."
    )
    return [_picture("The first against the others", svg, caption)]


def _course(
    board: Board, now: datetime, history: BoardHistory, leading: Sequence[LeadingLine]
) -> list[PagePicture]:
    """How the ranks came about: from board to board, and as the budget passes."""
    rows, settings, found = board.rows, board.rules, list[PagePicture]()
    drawn = rows[:MAX_LINES]
    if len(drawn) < 2 or settings is None:
        return []
    teams = tuple(row.submission.team for row in drawn)
    boards = (*history.boards, PastRanks(generation=board.request.generation, at=now, teams=teams))
    moments_of_boards = [past.at for past in boards]
    if moments_of_boards[0] < moments_of_boards[-1]:
        svg = draw_history(ranks_on_boards(BoardHistory(boards=boards), teams), moments_of_boards, leading)
        caption = "Rank of each team on this board and on those before it."
        found.append(_picture("Ranks over time", svg, caption + _leading(len(drawn), rows)))
    if not any(run.points for row in rows for run in row.runs.values()):
        return found  # behind a Ladder there are no curves
    over = ranks_over_budget(rows, board.request.datasets, settings)[: len(drawn)]
    ranked_by = _tell_other_order(board.request.method)
    caption = f"Mean rank of each team if every run had ended at that moment.{ranked_by}"
    svg = draw_budget_ranks(over, budget_moments(settings), settings, leading)
    found.append(_picture("Ranks as the budget passes", svg, caption + _leading(len(drawn), rows)))
    scales = list_scales(settings)
    by_scale = ranks_over_scales(rows, board.request.datasets, settings)[: len(drawn)]
    svg = draw_scale_ranks(by_scale, scales, settings.t0, leading)
    caption = (
        "Mean rank of each team by other t0; far right, the time axis is linear. Dashed: the phase's t0."
        + ranked_by
    )
    found.append(_picture("Ranks by the time axis", svg, caption + _leading(len(drawn), rows)))
    return found


def _tell_other_order(method: str) -> str:
    """Where the board is not in the order of mean ranks, that it is not."""
    order, _ = describe_order(method)
    return "" if order == "mean rank" else f" The board itself is in the order of another value: {order}."


def _curves(board: Board, colours: Mapping[str, str]) -> list[PagePicture]:
    settings, decimals, found = board.rules, board.request.decimals, list[PagePicture]()
    if settings is None:
        return []
    drawn = board.rows[:MAX_LINES]
    for i, alias in enumerate(board.request.datasets):
        lines = [
            TeamCurve(
                row.team_name,
                board_points(row, alias, board, settings),
                colours.get(row.submission.team),
                row.place,
            )
            for row in drawn
        ]
        if not any(line.points for line in lines):
            continue
        leading = ((row.team_name, rounded_alc(row, alias, decimals)) for row in drawn[:LEADERS])
        said = "; ".join(f"{team}: {format_number(area, decimals)}" for team, area in leading)
        svg = draw_teams(alias, lines, settings)
        described = inline_svg(
            svg, f"c{i}", f"Learning curves on {alias}", f"ALC of the leading teams. {said}"
        )
        found.append(PagePicture("", described, ""))
    return found


def _picture(title: str, svg: bytes, caption: str, *, wide: bool = False) -> PagePicture:
    name = "".join(word[0] for word in title.lower().split())
    return PagePicture(title, inline_svg(svg, name, title, caption), caption, wide)
