"""What the organizer submits to compare with: outside the ranks, and what ``relative`` may be relative to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_api.board_documents import AggregateRequest, BoardSubmission
from alcove_api.score_documents import ScoredRun, ScoreResult
from alcove_scorer.repeats import DatasetRuns, combine_repeats_by_alias

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BaselineRow:
    """A Submission of the organizer, outside the ranks."""

    name: str
    runs: Mapping[str, ScoredRun]
    spreads: Mapping[str, float | None]


def combine_runs(request: AggregateRequest, result: ScoreResult) -> Mapping[str, DatasetRuns]:
    shown = (run.hide_behind_ladder() for run in result.runs)
    return combine_repeats_by_alias(shown, request.datasets, request.repeats)


def split_runs(
    runs: Mapping[str, DatasetRuns], request: AggregateRequest
) -> tuple[dict[str, ScoredRun], dict[str, float | None]]:
    spreads = {alias: found.spread for alias, found in runs.items()} if request.repeats > 1 else {}
    return {alias: found.run for alias, found in runs.items()}, spreads


def collect_baselines(
    request: AggregateRequest,
    entries: Sequence[BoardSubmission],
    combined: Mapping[str, Mapping[str, DatasetRuns]],
) -> tuple[BaselineRow, ...]:
    rows = [
        BaselineRow(entry.baseline, *split_runs(combined[entry.submission_uid], request))
        for entry in entries
        if entry.baseline
    ]
    return tuple(sorted(rows, key=lambda row: row.name))


def find_compared_scores(
    request: AggregateRequest, baselines: Sequence[BaselineRow], chance: float
) -> tuple[Floats, list[str]]:
    """A score a dataset that errors are relative to, and what is said where it is not the baseline's."""
    found = np.full(len(request.datasets), chance)
    if request.method != "relative" or not request.compare_with:
        return found, []
    named = next((row for row in baselines if row.name == request.compare_with), None)
    problems = []
    for i, alias in enumerate(request.datasets):
        run = named.runs.get(alias) if named else None
        if run is None or run.alc is None or run.alc >= 1.0:
            said = f"The baseline {request.compare_with} has no score below 1 on {alias}"
            problems.append(f"{said}: errors there are relative to chance.")
        else:
            found[i] = run.alc
    return found, problems
