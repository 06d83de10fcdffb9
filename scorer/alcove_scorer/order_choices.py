"""What hangs on a choice: the places that each method would give, and each scale of the time axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_scorer.board import BoardRow
from alcove_scorer.board_curves import find_final_areas
from alcove_scorer.curves import CurveRules
from alcove_scorer.ranks import Method, dataset_ranks, rank_participants

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_KEMENY = 200
"""Participants for whom Kemeny's order is looked for; of more, that takes many seconds."""
SCALES = 41
"""Values of t0 for which ranks are computed."""
HEADINGS: dict[Method, str] = {
    "average": "Mean rank (Borda)",
    "copeland": "Copeland",
    "kemeny": "Kemeny–Young",
    "success-rate": "Success rate",
    "relative-difference": "Relative difference",
}


@dataclass(frozen=True)
class MethodPlaces:
    """``ranks``: of each participant, by that method."""

    heading: str
    ranks: Ints


def find_places_by_method(scores: Floats) -> list[MethodPlaces]:
    """``scores``: participants × datasets, higher is better. Without the methods of :func:`explain_left_out`."""
    methods = [method for method in HEADINGS if method not in explain_left_out(scores)]
    return [MethodPlaces(HEADINGS[method], rank_participants(scores, method).rank) for method in methods]


def explain_left_out(scores: Floats) -> dict[Method, str]:
    """Sentences: why a method gives no places of these scores."""
    found: dict[Method, str] = {}
    if len(scores) > MOST_KEMENY:
        found["kemeny"] = f"Kemeny–Young is left out: of more than {MOST_KEMENY}, it takes long to find."
    if np.nanmin(scores, initial=0.0) < 0:
        found["relative-difference"] = (
            "Relative difference is left out: it is of scores of at least 0, and some here are lower."
        )
    return found


def list_scales(rules: CurveRules) -> list[float]:
    """Values of t0 in seconds: the phase's own, a hundredth of it, a hundred times the budget and what lies between.

    With a large t0 the axis is linear in time: ln(1 + t/t0) is t/t0.
    """
    first, last = math.log(rules.t0 / 100), math.log(100 * max(rules.budget, rules.t0))
    steps = [math.exp(first + (last - first) * i / (SCALES - 2)) for i in range(SCALES - 1)]
    return sorted([*steps, rules.t0])


def ranks_over_scales(rows: Sequence[BoardRow], datasets: Sequence[str], rules: CurveRules) -> Floats:
    """Mean ranks (teams × scales) by time axes with each t0 of :func:`list_scales`."""
    scales = np.array(list_scales(rules))
    areas = np.array([[find_final_areas(row, alias, scales, rules) for alias in datasets] for row in rows])
    # Areas of equal curves differ in their last bits.
    rounded = np.round(areas, 12)
    return np.column_stack([dataset_ranks(rounded[:, :, i]).mean(axis=1) for i in range(len(scales))])
