"""The page that ``alcove rank --report`` writes: the table, and the pictures that a leaderboard has without runs."""

from __future__ import annotations

import math

import numpy as np

from alcove_scorer.board import describe_order
from alcove_scorer.board_page import RankedName, describe_tests, draw_certainty, format_cell, format_interval
from alcove_scorer.pages import format_number, render_page
from alcove_scorer.rank_files import RankedTable, RankOptions, ScoreTable

DECIMALS = 4


def rank_html(name: str, table: ScoreTable, ranked: RankedTable, options: RankOptions) -> str:
    """``name``: what the table is called."""
    order = [int(i) for i in np.argsort(ranked.ranking.rank)]
    standings = [_standing(table, ranked, i) for i in order]
    ordered_by, value_name = describe_order(options.method, options.baseline)
    if options.method == "mean-minus-std":
        ordered_by += f" of mean − {options.penalty:g}·std of the repeats"
    if options.lower_is_better:
        ordered_by += "; lower scores are better"
    return render_page(
        "ranks.html",
        name=name,
        order=ordered_by,
        value_name=value_name,
        datasets=table.datasets,
        intervals=ranked.intervals is not None,
        repeats=table.scores.shape[2] > 1,
        rows=[_row(standing, ranked, i) for standing, i in zip(standings, order, strict=True)],
        statistics=describe_tests(
            ranked.friedman, ranked.kendall_w, ranked.cd, options.alpha, "participants"
        ),
        sure=draw_certainty(standings, ranked.cd, "participants"),
    )


def _standing(table: ScoreTable, ranked: RankedTable, i: int) -> RankedName:
    interval = None
    if ranked.intervals is not None:
        interval = (float(ranked.intervals[i, 0]), float(ranked.intervals[i, 1]))
    mean_rank = float(ranked.ranking.mean_rank[i])
    return RankedName(table.participants[i], int(ranked.ranking.rank[i]), mean_rank, interval)


def _row(standing: RankedName, ranked: RankedTable, i: int) -> dict[str, object]:
    value = float(ranked.ranking.value[i])
    cells = []
    for score, place in zip(ranked.scores[i].tolist(), ranked.ranking.ranks[i].tolist(), strict=True):
        cells.append(format_cell(None if math.isnan(score) else score, place, DECIMALS))
    return {
        "rank": standing.rank,
        "tied": bool(ranked.ranking.tied[i]),
        "interval": format_interval(standing.interval) if standing.interval else "",
        "name": standing.name,
        "value": format_number(None if math.isnan(value) else value, 2),
        "cells": cells,
    }
