"""How soon each team reached the target scores: what a phase of ranking ``performance-profile`` ranks by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alcove_api.board_documents import AggregateRequest
from alcove_api.score_documents import ScoredRun
from alcove_scorer.curves import Point
from alcove_scorer.time_to_target import find_target_at_snapshot

Floats = npt.NDArray[np.float64]
FASTEST = 0.001
"""Seconds: no prediction counts as sooner, so that a ratio of times is finite."""


def find_times(request: AggregateRequest, runs: Sequence[Mapping[str, ScoredRun]]) -> Floats:
    """Seconds until a prediction first scores a dataset's target, teams × datasets; NaN where none does.

    Scores are those on the rows that rank. Where runs are repeated, the one whose ALC is the middle one stands for
    all. ``runs``: by alias, a mapping a team.
    """
    return np.array(
        [[_find_time(by_alias.get(a), request.targets.get(a)) for a in request.datasets] for by_alias in runs]
    )


def _find_time(run: ScoredRun | None, target: float | None) -> float:
    if run is None or run.alc is None or target is None:
        return math.nan
    points = [Point(number, point.t, point.score) for number, point in enumerate(run.points)]
    found = find_target_at_snapshot(points, target)
    return math.nan if found is None else max(found, FASTEST)


def list_missing_targets(request: AggregateRequest) -> list[str]:
    """What is said of datasets that have no target, so that nobody reaches it."""
    missing = [alias for alias in request.datasets if alias not in request.targets]
    if request.method != "performance-profile" or not missing:
        return []
    return [
        f"No target is set for {', '.join(missing)}: nobody can reach it. Set spec.target of the Dataset."
    ]
