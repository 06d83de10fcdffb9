"""What the curves of a board's runs are worth at other moments and on other time axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alcove_scorer.board import BoardRow
from alcove_scorer.curves import CurveRules
from alcove_scorer.ranks import dataset_ranks

MOMENTS = 48
"""Moments at which ranks over the budget are computed, evenly along the time axis."""


def budget_moments(rules: CurveRules) -> list[float]:
    """Seconds since the go, evenly along the scheme's time axis, the budget last."""
    span = math.log1p(rules.budget / rules.t0)
    return [rules.t0 * math.expm1(span * i / MOMENTS) for i in range(1, MOMENTS)] + [rules.budget]


def ranks_over_budget(
    rows: Sequence[BoardRow], datasets: Sequence[str], rules: CurveRules
) -> npt.NDArray[np.float64]:
    """Mean ranks (teams × moments) if every run had ended at that moment: by the area up to there.

    A team without a prediction yet ranks last, as a run without one does.
    """
    times = np.log1p(np.array(budget_moments(rules)) / rules.t0)
    areas = np.array([[find_areas(row, alias, times, rules) for alias in datasets] for row in rows])
    return np.column_stack([dataset_ranks(areas[:, :, i]).mean(axis=1) for i in range(len(times))])


def find_areas(
    row: BoardRow, alias: str, times: npt.NDArray[np.float64], rules: CurveRules
) -> npt.NDArray[np.float64]:
    """Area under the curve up to each of ``times``, the last value held; NaN before the first prediction.

    ``times`` are ln(1 + t/t0): what they are divided by to make an axis from 0 to 1 is the same for all teams.
    """
    seconds, scores = _read_curve(row, alias, rules)
    if len(seconds) == 1:
        return np.full(len(times), np.nan)
    at = np.log1p(seconds / rules.t0)
    before = np.concatenate(([0.0], np.cumsum(np.diff(at) * _heights(scores, rules))))
    last = np.searchsorted(at, times * (1 + 1e-12), side="right") - 1
    areas: npt.NDArray[np.float64] = before[last] + (times - at[last]) * scores[last]
    areas[last == 0] = np.nan
    return areas


def find_final_areas(
    row: BoardRow, alias: str, scales: npt.NDArray[np.float64], rules: CurveRules
) -> npt.NDArray[np.float64]:
    """Area up to the budget, from 0 to 1, by time axes with each t0 of ``scales``; NaN without a prediction."""
    seconds, scores = _read_curve(row, alias, rules)
    if len(seconds) == 1:
        return np.full(len(scales), np.nan)
    at = np.log1p(np.append(seconds, rules.budget) / scales[:, None])
    areas: npt.NDArray[np.float64] = np.diff(at) @ np.append(_heights(scores, rules), scores[-1])
    return areas / at[:, -1]


def _read_curve(
    row: BoardRow, alias: str, rules: CurveRules
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Seconds since the go and scores, from the go on; that alone of a run without a score."""
    run = row.runs.get(alias)
    points = run.points if run is not None and run.alc is not None else ()
    return (
        np.array([0.0, *(point.t for point in points)]),
        np.array([rules.metric.chance, *(point.score for point in points)]),
    )


def _heights(scores: npt.NDArray[np.float64], rules: CurveRules) -> npt.NDArray[np.float64]:
    """Of the curve between each two of its points."""
    between: npt.NDArray[np.float64] = (
        scores[:-1] if rules.curve == "step" else (scores[:-1] + scores[1:]) / 2
    )
    return between
