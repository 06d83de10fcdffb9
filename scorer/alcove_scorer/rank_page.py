"""The page that ``alcove rank --report`` writes: the table, and the pictures that a leaderboard has without runs."""

from __future__ import annotations

import math

from alcove_api.words import write_place
from alcove_scorer.board import describe_order
from alcove_scorer.board_page import (
    RankedName,
    describe_profiles,
    describe_tests,
    draw_certainty,
    draw_comparison,
    format_cell,
    format_interval,
    tabulate_methods,
)
from alcove_scorer.board_pictures import LeadingLine, draw_profiles
from alcove_scorer.colours import SERIES
from alcove_scorer.pages import format_number, render_page, shorten_text
from alcove_scorer.rank_files import RankedTable, RankOptions, ScoreTable
from alcove_scorer.rank_intervals import describe_places
from alcove_scorer.rank_uncertainty import CONDITIONS
from alcove_scorer.svg import inline_svg
from alcove_scorer.team_colours import LEADERS

DECIMALS = 4


def rank_html(name: str, table: ScoreTable, ranked: RankedTable, options: RankOptions) -> str:
    """``name``: what the table is called."""
    order = ranked.ranking.order
    standings = [_standing(table, ranked, i) for i in order]
    ordered_by, value_name = describe_order(options.method, options.baseline)
    if options.method == "mean-minus-std":
        ordered_by += f" of mean − {options.penalty:g}·std of the repeats"
    if options.of_times:
        ordered_by += f" up to τ = {options.tau_max:g}"
    if options.lower_is_better:
        ordered_by += "; lower scores are better"
    return render_page(
        "ranks.html",
        name=name,
        order=ordered_by,
        value_name=value_name,
        datasets=table.datasets,
        condition="" if ranked.uncertainty is None else CONDITIONS[ranked.uncertainty.source].lower(),
        places=_describe_places(table, ranked, order),
        repeats=table.scores.shape[2] > 1,
        rows=[_row(standing, ranked, i) for standing, i in zip(standings, order, strict=True)],
        statistics=describe_tests(
            ranked.friedman, ranked.kendall_w, ranked.cd, options.alpha, "participants"
        ),
        sure=[
            *draw_certainty(standings, ranked.cd, "participants"),
            *draw_comparison(table.participants, ranked.differences, options.rope),
        ],
        methods=None
        if options.of_times
        else tabulate_methods(table.participants, options.sign * ranked.scores, order),
        profiles=_profiles(table, ranked, order, options.tau_max),
    )


def _profiles(
    table: ScoreTable, ranked: RankedTable, order: list[int], tau_max: float
) -> dict[str, object] | None:
    """The leading participants' performance profiles, with their names by colour; None of a table of scores."""
    if ranked.ratios is None:
        return None
    leading = order[:LEADERS]
    lines = [LeadingLine(_place(ranked, i), colour) for i, colour in zip(leading, SERIES, strict=False)]
    svg = draw_profiles(ranked.ratios[leading], tau_max, lines)
    said = describe_profiles(tau_max)
    return {
        "names": [(_place(ranked, i), table.participants[i], number) for number, i in enumerate(leading, 1)],
        "more": max(0, len(order) - LEADERS),
        "picture": inline_svg(svg, "pp", "Performance profiles", said),
        "caption": said,
    }


def _place(ranked: RankedTable, i: int) -> str:
    return write_place(int(ranked.ranking.rank[i]), bool(ranked.ranking.tied[i]))


def _describe_places(table: ScoreTable, ranked: RankedTable, order: list[int]) -> str:
    found = ranked.uncertainty
    if found is None:
        return ""
    names = [shorten_text(table.participants[i], 40) for i in order]
    condition = CONDITIONS[found.source]
    return describe_places(names, found.ranks[order], len(table.datasets), "participants", condition)


def _standing(table: ScoreTable, ranked: RankedTable, i: int) -> RankedName:
    interval = None
    if ranked.uncertainty is not None:
        interval = (float(ranked.uncertainty.ranks[i, 0]), float(ranked.uncertainty.ranks[i, 1]))
    mean_rank = float(ranked.ranking.mean_rank[i])
    return RankedName(table.participants[i], int(ranked.ranking.rank[i]), mean_rank, interval)


def _row(standing: RankedName, ranked: RankedTable, i: int) -> dict[str, object]:
    value = float(ranked.ranking.value[i])
    of_times = ranked.ratios is not None
    cells = []
    for score, place in zip(ranked.scores[i].tolist(), ranked.ranking.ranks[i].tolist(), strict=True):
        cells.append(format_cell(None if math.isnan(score) else score, place, 1 if of_times else DECIMALS))
    return {
        "place": _place(ranked, i),
        "tied": bool(ranked.ranking.tied[i]),
        "interval": format_interval(standing.interval) if standing.interval else "",
        "name": standing.name,
        "value": format_number(None if math.isnan(value) else value, DECIMALS if of_times else 2),
        "cells": cells,
    }
